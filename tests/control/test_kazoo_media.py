"""What events and call records say of media, and what a request may want of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine.control.face import CallHandle
from engine.control.kazoo_events import EVENT_NAMES, Switch, cdr, channel_event
from engine.control.kazoo_originate import originate_request
from engine.control.kazoo_request import parse_quickcall
from engine.control.request_bounds import check_bounds
from engine.core.errors import RequestInvalid
from engine.core.events import ChannelNotice
from engine.core.media_values import Encryption, MediaPolicy, MediaReport
from engine.core.values import BypassFlow, EndpointType, MediaMode
from tests.control.samples import ACCOUNT, DEVICE, endpoint, request, snapshot

SWITCH = Switch("quickcall@node1.example.org", "192.0.2.1:5060")
REPORT = MediaReport(500, 400, 80_000, 64_000, 3, 1, 1.2345, 20.5, 4.199)


def test_the_end_of_a_leg_says_how_its_media_went() -> None:
    leg = snapshot(
        security="AES_CM_128_HMAC_SHA1_80",
        report=REPORT,
        one_way=True,
        recordings=("/var/r/a.wav",),
        media=MediaMode.BYPASS,
    )
    told = channel_event(ChannelNotice("CHANNEL_DESTROY", 1443672789.0, leg), SWITCH)
    quality = {
        "Packets-Received": 500,
        "Packets-Sent": 400,
        "Bytes-Received": 80_000,
        "Bytes-Sent": 64_000,
        "Packets-Lost": 3,
        "Packets-Lost-By-Peer": 1,
        "Jitter-MS": 1.23,
        "Round-Trip-MS": 20.5,
        "MOS": 4.2,
    }
    assert {name: told[name] for name in told if name.startswith("Media")} == {
        "Media": "bypass",
        "Media-Codec": "PCMU/8000",
        "Media-Encryption": "AES_CM_128_HMAC_SHA1_80",
        "Media-One-Way": True,
        "Media-Recordings": ["/var/r/a.wav"],
        "Media-Quality": quality,
        "Media-Server": "node1.example.org",
    }
    record = cdr(leg, SWITCH)
    assert record["media_quality"] == {
        name.lower().replace("-", "_"): value for name, value in quality.items()
    }
    assert (record["media"], record["media_one_way"]) == ("bypass", True)


def test_a_leg_without_media_says_nothing_of_them() -> None:
    record = cdr(snapshot(codec="", answered_at=None), SWITCH)
    assert [name for name in record if name.startswith("media")] == ["media_server"]


@pytest.mark.parametrize(
    "name",
    [
        "CALL_UPDATE",
        "CHANNEL_EXECUTE_COMPLETE",
        "RECORD_START",
        "RECORD_STOP",
        "MEDIA_ONE_WAY",
    ],
)
def test_events_of_media_are_told_with_what_they_alone_say(name: str) -> None:
    assert name in EVENT_NAMES
    told = channel_event(ChannelNotice(name, 1.0, snapshot(), {"Media": "bypass"}), SWITCH)
    assert (told["Event-Name"], told["Media"]) == (name, "bypass")


@pytest.mark.parametrize("spelling", ["bypass_flow", "bypass-flow"])
def test_the_flow_of_a_bypass_is_an_option(spelling: str) -> None:
    data = {"media": "bypass", spelling: "direct", "ignore_early_media": False}
    asked = parse_quickcall(ACCOUNT, EndpointType.DEVICE, DEVICE, "1002", {}, data)
    assert (asked.media, asked.bypass_flow) == (MediaMode.BYPASS, BypassFlow.DIRECT)
    check_bounds(asked)


def test_direct_bypass_and_ignored_early_media_exclude_each_other() -> None:
    with pytest.raises(RequestInvalid, match="bypass_flow: 'direct' is not allowed") as raised:
        check_bounds(request(media=MediaMode.BYPASS, bypass_flow=BypassFlow.DIRECT))
    assert "ignore-early-media false" in str(raised.value)


def test_an_unknown_flow_is_refused() -> None:
    with pytest.raises(RequestInvalid, match="after_answer or direct"):
        parse_quickcall(ACCOUNT, EndpointType.DEVICE, DEVICE, "1", {"bypass_flow": "sideways"})


def test_what_a_device_wants_of_its_media_is_in_its_channel_vars() -> None:
    device = endpoint(media=MediaPolicy(Encryption.MANDATORY, webrtc=True))
    handle = SimpleNamespace(
        originate_id="req-1",
        request=request(),
        number="1002",
        filter_note="",
        endpoints=(device,),
        planned=(),
    )
    told: Any = originate_request(cast(CallHandle, handle), "quickcall@node1")["endpoints"]
    variables = told[0]["custom_channel_vars"]
    assert variables["media_encryption_enforce_security"] is True
    assert variables["rtp_secure_media"] == "true"
    assert variables["media_webrtc"] == variables["rtcp_mux"] == "true"
