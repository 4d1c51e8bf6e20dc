"""Kazoo's commands: what each means, and that no message can do harm."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.control import kapi_dialplan as does
from engine.control.kapi_dialplan import ANY_DIGIT, InsertAt, Order, parse_order
from engine.core.errors import RequestInvalid
from engine.core.values import BridgeOrder

CALL = "0123-quickcall"
ORDER = BridgeOrder(())


def message(application: str, **keys: object) -> dict[str, Any]:
    """A command as Kazoo sends it; `Media_Name` stands for `Media-Name`."""
    return {
        "Event-Category": "call",
        "Event-Name": "command",
        "App-Name": "callflow",
        "App-Version": "4.0.0",
        "Msg-ID": "m1",
        "Call-ID": CALL,
        "Application-Name": application,
        **{key.replace("_", "-"): value for key, value in keys.items()},
    }


def parsed(body: dict[str, Any]) -> Order:
    return parse_order(body, lambda _body: ORDER)


def action(application: str, **keys: object) -> does.Action:
    (command,) = parsed(message(application, **keys)).commands
    return command.action


@pytest.mark.parametrize(
    ("application", "keys", "expected"),
    [
        ("hangup", {}, does.HangUp()),
        ("hangup", {"Other_Leg_Only": False}, does.HangUp()),
        ("transfer", {"Transfer_Type": "blind", "Transfer_To": "1002"}, does.Transfer("1002")),
        ("transfer", {"Transfer_To": "1002@acme.test"}, does.Transfer("1002")),
        ("bridge", {"Endpoints": []}, does.Bridge(ORDER)),
        ("call_pickup", {"Target_Call_ID": "other"}, does.PickUp("other")),
        ("connect_leg", {"Target_Call_ID": "other"}, does.PickUp("other")),
        ("hold", {}, does.Hold(on=True)),
        ("hold", {"Hold_Media": "/a/moh"}, does.Play("a/moh.wav", True, frozenset())),
        ("hold_control", {"Action": "hold"}, does.Hold(on=True)),
        ("hold_control", {"Action": "unhold"}, does.Hold(on=False)),
        ("hold_control", {"Action": "toggle"}, does.Hold(on=None)),
        ("play", {"Media_Name": "de/busy"}, does.Play("de/busy", False, frozenset())),
        (
            "play",
            {"Media_Name": "tone://425/1000", "Endless_Playback": "true", "Terminators": "any"},
            does.Play("tone:425/1000", True, ANY_DIGIT),
        ),
        (
            "play",
            {"Media_Name": "a.wav", "Terminators": ["#", "1"]},
            does.Play("a.wav", False, frozenset("#1")),
        ),
        ("playstop", {}, does.StopPlaying()),
        ("break", {}, does.StopPlaying()),
        ("send_dtmf", {"DTMFs": "12#"}, does.SendDigits("12#", 160)),
        ("send_dtmf", {"DTMFs": "a", "Duration": "200"}, does.SendDigits("A", 200)),
        (
            "record_call",
            {"Record_Action": "start", "Media_Name": "r.wav", "Time_Limit": 60},
            does.Record("r.wav", 60.0),
        ),
        ("record_call", {"Record_Action": "start"}, does.Record(None, 0.0)),
        ("record_call", {"Record_Action": "stop"}, does.StopRecording()),
        ("park", {}, does.Park()),
        ("answer", {}, does.Nothing()),
        ("noop", {}, does.Nothing()),
        ("set", {"Custom_Channel_Vars": {"a": "b"}}, does.Nothing(told=False)),
    ],
)
def test_what_a_command_means(
    application: str, keys: dict[str, object], expected: does.Action
) -> None:
    assert action(application, **keys) == expected


@pytest.mark.parametrize(
    ("application", "keys", "named"),
    [
        ("hangup", {"Other_Leg_Only": True}, "Other-Leg-Only"),
        ("transfer", {"Transfer_Type": "attended", "Transfer_To": "1002"}, "Transfer-Type"),
        ("transfer", {"Transfer_To": ""}, "Transfer-To"),
        ("transfer", {"Transfer_To": "1\r\nEvil: 1"}, "Transfer-To"),
        ("transfer", {}, "Transfer-To"),
        ("call_pickup", {}, "Target-Call-ID"),
        ("hold_control", {"Action": "swap"}, "Action"),
        ("hold_control", {"Action": ["hold"]}, "Action"),
        ("play", {}, "Media-Name"),
        ("play", {"Media_Name": "shout://radio"}, "Media-Name"),
        ("play", {"Media_Name": "a.wav", "Terminators": ["x"]}, "Terminators"),
        ("play", {"Media_Name": "a.wav", "Terminators": {"1": 1}}, "Terminators"),
        ("send_dtmf", {"DTMFs": "hello"}, "digits"),
        ("send_dtmf", {"DTMFs": "1", "Duration": 90_000}, "Duration"),
        ("send_dtmf", {}, "DTMFs"),
        ("record_call", {}, "Record-Action"),
        ("record_call", {"Record_Action": "start", "Time_Limit": -1}, "Time-Limit"),
        ("record_call", {"Record_Action": "start", "Media_Name": 7}, "Media-Name"),
        (
            "record_call",
            {"Record_Action": "start", "Media_Transfer_Destination": "http://x"},
            "Media-Transfer-Destination",
        ),
        ("fax_detection", {}, "no such command"),
        ("queue", {"Commands": "none"}, "Commands"),
        ("queue", {"Commands": [{}] * 65}, "Commands"),
    ],
)
def test_a_refusal_says_which_key(application: str, keys: dict[str, object], named: str) -> None:
    refused = action(application, **keys)
    assert isinstance(refused, does.Refused)
    assert named in refused.why


def test_a_command_waits_its_turn_unless_it_says_otherwise() -> None:
    assert parsed(message("noop")).insert_at is InsertAt.TAIL
    for place in InsertAt:
        assert parsed(message("noop", Insert_At=place.value)).insert_at is place


def test_what_stops_a_sound_does_not_wait_for_it() -> None:
    assert parsed(message("playstop", Insert_At="tail")).insert_at is InsertAt.NOW
    assert parsed(message("break")).insert_at is InsertAt.NOW


def test_a_list_is_carried_out_as_kazoo_means_it() -> None:
    listed = [
        {"Application-Name": "noop", "Msg-ID": "after"},
        {"Application-Name": "play", "Media-Name": "de"},
    ]
    order = parsed(message("queue", Commands=listed))
    assert [command.application for command in order.commands] == ["play", "noop"]
    assert [command.msg_id for command in order.commands] == ["m1", "after"]
    assert order.commands[1].body["App-Name"] == "callflow"
    for place in ("now", "head"):
        order = parsed(message("queue", Insert_At=place, Commands=listed))
        assert [command.application for command in order.commands] == ["noop", "play"]


def test_one_bad_command_of_a_list_leaves_the_others() -> None:
    listed = [
        {"Application-Name": "noop"},
        {"Application-Name": "tts", "Text": "hello"},
        {"Application-Name": "noop", "Call-ID": "another"},
        "no command",
        {},
    ]
    order = parsed(message("queue", Commands=listed))
    kinds = [type(command.action) for command in order.commands]
    assert kinds == [does.Refused, does.Refused, does.Nothing]
    assert "Call-ID" in order.commands[0].action.why  # type: ignore[union-attr]
    assert all(command.call_id == CALL for command in order.commands)


def test_a_list_does_not_multiply_what_its_sender_wrote() -> None:
    order = parsed(message("queue", Blob="x" * 1000, Commands=[{"Application-Name": "noop"}] * 64))
    assert all("Blob" not in command.body for command in order.commands)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"Event-Name": "event"}, "Event-Name"),
        ({"Event-Category": ["call"]}, "Event-Name"),
        ({"Call-ID": None}, "Call-ID"),
        ({"Call-ID": "x" * 200}, "Call-ID"),
        ({"Application-Name": 5}, "Application-Name"),
        ({"Insert-At": "later"}, "Insert-At"),
        ({"Insert-At": {}}, "Insert-At"),
    ],
)
def test_what_is_no_command_is_said_so(changed: dict[str, object], field: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        parsed({**message("noop"), **changed})
    assert caught.value.field == field


def test_a_bad_bridge_is_refused_in_its_turn() -> None:
    def bad(_body: object) -> BridgeOrder:
        raise RequestInvalid("Endpoints.0.To-Realm", 5, "text")

    (command,) = parse_order(message("bridge"), bad).commands
    assert isinstance(command.action, does.Refused)
    assert "Endpoints.0.To-Realm" in command.action.why


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=10,
)
KEYS = (
    "Action", "Call-ID", "Commands", "DTMFs", "Duration", "Endless-Playback", "Hold-Media",
    "Insert-At", "Media-Name", "Msg-ID", "Record-Action", "Target-Call-ID", "Terminators",
    "Time-Limit", "Transfer-To", "Transfer-Type",
)  # fmt: skip


@given(
    st.sampled_from([*sorted(does.APPLICATIONS), "else"]),
    st.dictionaries(st.sampled_from(KEYS), json, max_size=6),
)
def test_no_message_raises_anything_else(application: str, keys: dict[str, object]) -> None:
    try:
        order = parsed({**message(application), **keys})
    except RequestInvalid:
        return
    assert len(order.commands) <= does.MAX_COMMANDS
