"""Values the control tests share: a leg, an outcome, a request."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from engine.core.values import (
    Attempt,
    CallerId,
    Contact,
    Endpoint,
    EndpointType,
    LegId,
    LegRole,
    LegSnapshot,
    LegState,
    MediaMode,
    OriginateId,
    OriginateRequest,
    Outcome,
    Party,
    PlannedAttempt,
)

ACCOUNT = "a" * 32
DEVICE = "d" * 32
USER = "b" * 32
OTHER_ACCOUNT = "c" * 32

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-16\r\na=sendrecv\r\n"
)


def endpoint(**changes: Any) -> Endpoint:
    """A registered device."""
    base = Endpoint(
        id=DEVICE,
        kind="device",
        contacts=(Contact("sip:alice@127.0.0.1:5070"),),
        user="alice",
        realm="example.org",
        codecs=("PCMU", "PCMA"),
        caller_id=CallerId("Alice", "1001"),
    )
    return replace(base, **changes)


def request(**changes: Any) -> OriginateRequest:
    """A quickcall to that device."""
    base = OriginateRequest(ACCOUNT, EndpointType.DEVICE, DEVICE, "1002")
    return replace(base, **changes)


def planned(**changes: Any) -> PlannedAttempt:
    """The INVITE sent for it."""
    device = endpoint(**changes)
    return PlannedAttempt(device, device.contacts[0], "0123-quickcall")


def snapshot(**changes: Any) -> LegSnapshot:
    """Its A-leg, answered and ended."""
    base = LegSnapshot(
        leg=LegId(1),
        originate_id=OriginateId("req-1"),
        role=LegRole.A,
        state=LegState.ENDED,
        call_id="0123-quickcall",
        account_id=ACCOUNT,
        endpoint_id=DEVICE,
        endpoint_kind="device",
        owner_id=USER,
        caller_id=CallerId("Device QuickCall", "1002"),
        callee_id=CallerId("Alice", "1001"),
        request_uri="sip:alice@127.0.0.1:5070;ob",
        to_uri="<sip:alice@example.org>",
        from_uri='"Device QuickCall" <sip:1002@example.org>',
        user="alice",
        realm="example.org",
        interaction_id="63610891956-0a1b2c3d",
        created_at=1443672756.990000,
        ringing_at=1443672757.2,
        answered_at=1443672758.2,
        ended_at=1443672788.9,
        other_leg_call_id="4567-quickcall",
        other_leg_number="1002",
        other_leg_caller_id=CallerId("Alice", "1001"),
        cause="NORMAL_CLEARING",
        q850=16,
        sip_status=200,
        reason="OK",
        party=Party.REMOTE,
        codec="PCMU/8000",
        media=MediaMode.PROCESS,
        auto_answer=False,
        held=False,
        user_agent="Phone 1.0",
        to_tag="tt",
        from_tag="ft",
        local_sdp=SDP,
        remote_sdp=SDP,
        channel_vars={
            "Account-ID": ACCOUNT,
            "Authorizing-ID": DEVICE,
            "Authorizing-Type": "device",
            "Owner-ID": USER,
            "Call-Interaction-ID": "63610891956-0a1b2c3d",
            "Realm": "example.org",
            "Username": "alice",
            "Retain-CID": "true",
        },
        application_vars={"foo": "bar", "Order-ID": "7"},
    )
    return replace(base, **changes)


def outcome(**changes: Any) -> Outcome:
    """The answer of the device."""
    base = Outcome(
        originate_id=OriginateId("req-1"),
        account_id=ACCOUNT,
        answered=True,
        call_id="0123-quickcall",
        cause="SUCCESS",
        q850=142,
        sip_status=200,
        reason="OK",
        party=Party.REMOTE,
        attempts=(
            Attempt(
                "0123-quickcall",
                DEVICE,
                "sip:alice@127.0.0.1:5070",
                "SUCCESS",
                200,
                "OK",
                1.0,
                LegRole.A,
                "",
                0.0,
                None,
            ),
        ),
        final=False,
        number="1002",
        filter_note="",
    )
    return replace(base, **changes)
