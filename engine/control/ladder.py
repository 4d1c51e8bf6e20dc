"""SIP messages drawn as a ladder: one column per participant, one arrow per message. Pure text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from engine.core.events import SipMessageSeen

_TIME = 9
"""Columns for the time of a message: `+12.345` and two spaces."""
_NARROWEST = 12
"""A gap between two participants is never drawn narrower than this."""


def draw_ladder(
    messages: Sequence[SipMessageSeen], names: Mapping[str, str], width: int = 80
) -> list[str]:
    """Return the lines of a ladder, none longer than `width` if the participants fit.

    `names` gives the `ip:port` addresses their names, in the order of the columns from the left;
    addresses that are not named get a column of their own on the right. Times are seconds since the
    first message. No messages give no lines.
    """
    if not messages:
        return []
    columns = _columns(messages, names)
    gap = max(_NARROWEST, (width - _TIME - 2) // max(1, len(columns) - 1))
    places = {address: index * gap for index, address in enumerate(columns)}
    span = (len(columns) - 1) * gap + 1
    start = messages[0].at
    lines = [
        _header([names.get(address, address) for address in columns], gap),
        _header(["" if address not in names else address for address in columns], gap),
    ]
    for message in messages:
        rails = _rails(places.values(), span)
        _draw(rails, places[message.source], places[message.destination], label(message.text))
        lines.append(f"+{message.at - start:06.3f}"[: _TIME - 1].ljust(_TIME) + "".join(rails))
    return [line.rstrip() for line in lines]


def label(text: str) -> str:
    r"""Name a message: its method, or status, reason and the method answered; with its body.

    >>> label("BYE sip:a@b SIP/2.0\r\nCSeq: 2 BYE\r\n\r\n")
    'BYE'
    >>> label("SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\n")
    '200 OK (INVITE) +SDP'
    """
    head, _, body = text.partition("\r\n\r\n")
    first, *headers = head.split("\r\n")
    sdp = " +SDP" if body.startswith("v=0") else ""
    if not first.startswith("SIP/2.0 "):
        return first.split(" ", 1)[0] + sdp
    cseq = next((line for line in headers if line.lower().startswith("cseq")), "")
    return f"{first[len('SIP/2.0 ') :]} ({cseq.rpartition(' ')[2]}){sdp}"


def _columns(messages: Sequence[SipMessageSeen], names: Mapping[str, str]) -> list[str]:
    """Return the addresses that take part: the named ones in their order, then the others."""
    seen = dict.fromkeys(
        end for message in messages for end in (message.source, message.destination)
    )
    return [address for address in names if address in seen] + [
        address for address in seen if address not in names
    ]


def _header(texts: Sequence[str], gap: int) -> str:
    """Write a text over each rail: the first to its right, the last to its left, others centred."""
    line = [" "] * (_TIME + (len(texts) - 1) * gap + 1)
    for index, text in enumerate(texts):
        text = text[: gap - 1]
        at = _TIME + index * gap
        if index == len(texts) - 1:
            at -= len(text) - 1
        elif index:
            at -= len(text) // 2
        line[at : at + len(text)] = text
    return "".join(line)


def _rails(places: Iterable[int], span: int) -> list[str]:
    rails = [" "] * span
    for place in places:
        rails[place] = "│"
    return rails


def _draw(rails: list[str], source: int, destination: int, text: str) -> None:
    """Draw one arrow between two rails, with its label in the middle."""
    left, right = sorted((source, destination))
    room = right - left - 1
    if room < 1:
        return
    arrow = ["─"] * room
    arrow[-1 if destination > source else 0] = ">" if destination > source else "<"
    text = text if len(text) <= room - 6 else text[: room - 7] + "…"
    at = (room - len(text) - 2) // 2
    arrow[at : at + len(text) + 2] = f" {text} "
    rails[left + 1 : right] = arrow
