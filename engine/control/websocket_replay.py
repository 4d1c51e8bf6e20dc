"""What a client missed: from the journal while memory does not reach back, then from memory."""

from __future__ import annotations

import msgspec

from engine.control.face import EngineFace
from engine.control.feed import FeedEvent, ResumeAhead
from engine.core.errors import EngineError

PAGE = 200
"""Events in one step."""


class TooOld(EngineError):
    """Some of the events are not kept any more: only what lives now can be told."""


class Replay:
    """The events of an account after one that a client has seen."""

    def __init__(self, face: EngineFace, account_id: str | None, resume_from: int) -> None:
        """Begin after `resume_from`; account None: every account."""
        self._face = face
        self._account_id = account_id
        self._after = resume_from

    async def page(self) -> list[FeedEvent] | None:
        """Return the next events, None when at most `PAGE` are left and all of them in memory.

        A page may be empty, for not every event is of the account. Raises `TooOld`, `ResumeAhead`,
        and `EngineUnavailable` when the database does not answer.
        """
        feed = self._face.feed
        if self._after > feed.last_sequence:
            raise ResumeAhead(self._after, feed.last_sequence)
        if self._after < feed.oldest - 1:
            return await self._stored()
        left = feed.since(self._after)
        if len(left) <= PAGE:
            return None
        self._after = left[PAGE - 1].sequence
        return left[:PAGE]

    def rest(self) -> list[FeedEvent]:
        """Return what is left, right after `page` returned None: nothing is missing in between."""
        return self._face.feed.since(self._after)

    async def _stored(self) -> list[FeedEvent]:
        # Whatever was published by now is in the journal's answer.
        newest, journal = self._face.feed.last_sequence, self._face.journal
        rows = await journal.events(self._account_id, self._after, PAGE)
        # Looked at afterwards: it is raised before the first of these events is deleted.
        if self._after < journal.forgotten:
            raise TooOld(f"events after {self._after} are not kept any more")
        last = rows[-1].sequence if rows else self._after
        self._after = last if len(rows) == PAGE else max(last, newest)
        return [
            FeedEvent(
                *(row.sequence, row.name, row.account_id, row.call_id, row.at),
                msgspec.json.decode(row.payload),
            )
            for row in rows
        ]
