"""What legs hear of the engine itself, what is recorded of them, and legs that fall silent."""

import pytest

from engine.core.errors import WrongState
from engine.core.events import (
    ChannelNotice,
    LegHeard,
    LegMediaFailed,
    LegPlayed,
    LegRecorded,
    LegSilent,
)
from engine.core.leg import FILE_GUARD_S
from engine.core.media_values import MediaReport
from engine.core.sounds import LOST, Sound
from engine.core.values import LegId, MediaMode, Party
from tests.unit.core.rig import Rig, carrier, device

RING = {"ringback": "tone:425/1000,0/4000"}
HEARS_RING = "play 1 tone:425/1000,0/4000 again"


def waiting(**settings: object) -> Rig:
    """Leg 1 has answered, leg 2 is dialled."""
    rig = Rig(**settings)
    rig.rings_and_answers()
    rig.resolves(device("bob", "10.0.0.2"))
    return rig


def told(rig: Rig, name: str) -> list[tuple[int, dict[str, object]]]:
    return [
        (notice.leg.leg, dict(notice.details))
        for notice in rig.notices
        if isinstance(notice, ChannelNotice) and notice.name == name
    ]


def over(play: int, error: str = "") -> LegPlayed:
    return LegPlayed(LegId(1), play, error)


# --- ringback -----------------------------------------------------------------------------------


def test_the_answered_device_hears_ringback_until_the_other_answers() -> None:
    rig = waiting(**RING)
    assert rig.orders()[-2:] == ["dial 2", HEARS_RING]
    rig.rings(2)
    rig.answers(2)
    assert rig.orders()[-2:] == ["quiet 1", "join 1 2"]


def test_without_a_sound_there_is_no_ringback() -> None:
    rig = waiting()
    rig.answers(2)
    assert rig.orders()[-2:] == ["dial 2", "join 1 2"]


def test_early_media_take_the_place_of_ringback() -> None:
    rig = waiting(**RING)
    rig.early(2)
    rig.rings(2)
    rig.answers(2)
    assert rig.orders()[-3:] == [HEARS_RING, "quiet 1", "join 1 2"]


@pytest.mark.parametrize("policy", [True, "ring_ready"])
def test_early_media_that_are_ignored_leave_the_ringback(policy: object) -> None:
    rig = Rig(**RING)
    rig.rings_and_answers()
    rig.resolves(device("bob", "10.0.0.2", ignore_early_media=policy))
    rig.early(2)
    assert rig.orders()[-1] == HEARS_RING
    rig.answers(2)
    assert rig.orders()[-2:] == ["quiet 1", "join 1 2"]


def test_ringback_begins_anew_when_the_next_carrier_is_dialled() -> None:
    rig = Rig(**RING)
    rig.rings_and_answers()
    rig.resolves(carrier("west"), carrier("east"))
    rig.early(2)
    rig.ends(2, 503)
    assert rig.orders()[-4:] == ["join 1 2", "split 1 2", "dial 3", HEARS_RING]


def test_who_is_transferred_hears_ringback() -> None:
    rig = Rig(**RING)
    rig.talks()
    rig.transfers(2, "3001")
    rig.resolves(device("carol", "10.0.0.3"), number="3001", for_leg=2)
    assert rig.orders()[-1] == "play 2 tone:425/1000,0/4000 again"
    rig.answers(3)
    assert "quiet 2" in rig.orders()


# --- announcements ------------------------------------------------------------------------------


def announcing() -> Rig:
    rig = waiting(announcements={"USER_BUSY": "busy.wav"}, **RING)
    rig.ends(2, 486)
    assert rig.orders()[-1] == "play 1 busy.wav"
    return rig


def test_a_failure_is_announced_before_the_hangup() -> None:
    rig = announcing()
    assert rig.hangups() == {}
    rig.takes(over(Sound.RINGBACK))
    assert rig.hangups() == {}, "the ringback it took the place of is over, not the announcement"
    rig.takes(over(Sound.ANNOUNCEMENT))
    assert rig.hangups()[1].startswith("Q.850;cause=17")
    rig.ends(1, party=Party.LOCAL)
    assert (rig.outcome().cause, rig.outcome().sip_status) == ("USER_BUSY", 486)
    assert rig.is_empty()


def test_a_failure_without_an_announcement_ends_at_once() -> None:
    rig = waiting(announcements={"USER_BUSY": "busy.wav"})
    rig.ends(2, 404)
    assert set(rig.hangups()) == {1}


def test_a_number_without_a_route_is_announced() -> None:
    rig = Rig(announcements={"NO_ROUTE_DESTINATION": "no.wav"})
    rig.rings_and_answers()
    rig.resolves()
    assert rig.orders()[-1] == "play 1 no.wav"
    rig.takes(over(Sound.ANNOUNCEMENT))
    rig.ends(1, party=Party.LOCAL)
    assert rig.outcome().cause == "NO_ROUTE_DESTINATION"


@pytest.mark.parametrize("how", ["leaves", "order", "too long"])
def test_an_announcement_that_is_cut_short_keeps_the_cause(how: str) -> None:
    rig = announcing()
    if how == "leaves":
        rig.ends(1)
    else:
        rig.hangs_up() if how == "order" else rig.waits(60)
        rig.ends(1, party=Party.LOCAL)
    assert rig.outcome().cause == "USER_BUSY"
    assert rig.is_empty()


# --- play and record by order -------------------------------------------------------------------


def test_a_sound_by_order_is_told_of_when_it_is_over() -> None:
    rig = Rig(**RING)
    rig.talks()
    rig.control.play("call-1", "beep.wav", rig.now)
    rig.takes(over(3))
    rig.control.play("call-1", "gone.wav", rig.now)
    rig.takes(over(4, "no such file"))
    assert told(rig, "CHANNEL_EXECUTE_COMPLETE") == [
        (1, played("beep.wav", "FILE PLAYED")),
        (1, played("gone.wav", "no such file")),
    ]


def played(what: str, response: str) -> dict[str, object]:
    return {
        "Application-Name": "play",
        "Application-Data": what,
        "Application-Response": response,
    }


def test_stop_stops_what_is_played_and_only_that() -> None:
    rig = Rig()
    rig.talks()
    assert rig.control.stop_playing("call-1", rig.now).commands == ()
    rig.control.play("call-1", "beep.wav", rig.now, repeat=True)
    assert len(rig.control.stop_playing("call-1", rig.now).commands) == 1
    assert rig.control.stop_playing("call-1", rig.now).commands == ()


def test_a_recording_is_told_from_its_start_to_its_end() -> None:
    rig = Rig()
    rig.talks()
    rig.notices += rig.control.record("call-2", "/r/a.wav", rig.now, max_s=5).notices
    with pytest.raises(WrongState, match="recorded"):
        rig.control.record("call-2", "/r/b.wav", rig.now)
    rig.takes(LegRecorded(LegId(2), "/r/a.wav", 1.5, ""))
    rig.notices += rig.control.record("call-2", "/r/b.wav", rig.now).notices
    rig.takes(LegRecorded(LegId(2), "/r/b.wav", 0.0, "disk full"))
    app = {"Application-Name": "record", "Application-Response": "/r/a.wav"}
    other = {"Application-Name": "record", "Application-Response": "/r/b.wav"}
    assert told(rig, "RECORD_START") == [(2, app), (2, other)]
    assert told(rig, "RECORD_STOP") == [
        (2, {**app, "Length": 1500}),
        (2, {**other, "Length": 0, "Recording-Error": "disk full"}),
    ]
    assert rig.control.snapshots()[1].recordings == ("/r/a.wav", "/r/b.wav")


def recording(**changes: object) -> Rig:
    """Two talk and leg 2 is recorded."""
    rig = Rig()
    rig.talks(**changes)
    rig.notices += rig.control.record("call-2", "/r/a.wav", rig.now).notices
    return rig


@pytest.mark.parametrize("party", [Party.REMOTE, Party.LOCAL])
def test_a_recorded_channel_ends_when_its_file_is_complete(party: Party) -> None:
    rig = recording()
    if party is Party.LOCAL:
        rig.hangs_up()
    rig.ends(2, party=party)
    assert "CHANNEL_DESTROY" not in rig.names()
    rig.takes(LegRecorded(LegId(2), "/r/a.wav", 1.5, ""))
    names = [notice.name for notice in rig.notices if isinstance(notice, ChannelNotice)]
    assert names[-2:] == ["RECORD_STOP", "CHANNEL_DESTROY"]
    assert rig.destroyed(2)[0] == "NORMAL_CLEARING"
    assert rig.destroyed(2)[3] is (party)
    rig.ends(1, party=Party.LOCAL)
    assert rig.is_empty()


def test_the_other_is_hung_up_meanwhile_and_the_cause_stays_the_first() -> None:
    rig = recording()
    rig.ends(2, party=Party.REMOTE)
    rig.ends(1, party=Party.REMOTE)
    rig.hangs_up()
    rig.takes(LegRecorded(LegId(2), "/r/a.wav", 1.5, ""))
    assert rig.destroyed(2)[3] is Party.REMOTE
    assert rig.is_empty()


def test_a_disk_that_does_not_answer_holds_no_channel_up() -> None:
    rig = recording()
    rig.ends(2)
    ended = rig.now
    rig.waits(FILE_GUARD_S)
    (stop,) = told(rig, "RECORD_STOP")
    assert stop[1]["Recording-Error"] == LOST
    assert rig.channel("DESTROY", 2).leg.ended_at == ended
    rig.takes(LegRecorded(LegId(2), "/r/a.wav", 1.5, ""))
    assert len(told(rig, "RECORD_STOP")) == 1
    rig.ends(1, party=Party.LOCAL)
    assert rig.is_empty()


def test_only_an_answered_channel_is_played_to_or_recorded() -> None:
    rig = Rig()
    rig.originate(device("alice", "10.0.0.1"))
    with pytest.raises(WrongState):
        rig.control.play("call-1", "beep.wav", rig.now)
    with pytest.raises(WrongState):
        rig.control.record("call-1", "a.wav", rig.now)
    assert rig.control.play("gone", "beep.wav", rig.now).commands == ()


# --- silence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("leg", [1, 2])
def test_a_phone_that_sends_nothing_any_more_ends_the_call(leg: int) -> None:
    rig = Rig()
    rig.talks()
    rig.takes(LegSilent(LegId(leg), 60.0, one_way=False))
    assert set(rig.hangups()) == {1, 2}
    rig.takes(LegSilent(LegId(leg), 60.0, one_way=False))
    rig.ends(1, party=Party.LOCAL)
    rig.ends(2, party=Party.LOCAL)
    outcome = rig.outcome()
    assert (outcome.cause, outcome.party) == ("MEDIA_TIMEOUT", Party.TIMEOUT)
    assert outcome.reason == "no RTP for 60 s"
    assert rig.is_empty()


@pytest.mark.parametrize("leg", [1, 2])
def test_a_phone_that_cannot_be_sent_encrypted_media_ends_the_call(leg: int) -> None:
    rig = Rig()
    rig.talks()
    rig.takes(LegMediaFailed(LegId(leg), "no ICE check of the peer came"))
    assert set(rig.hangups()) == {1, 2}
    rig.ends(1, party=Party.LOCAL)
    rig.ends(2, party=Party.LOCAL)
    outcome = rig.outcome()
    assert (outcome.cause, outcome.party) == ("SRTP_READ_ERROR", Party.POLICY)
    assert outcome.reason == "no ICE check of the peer came"
    assert rig.is_empty()


def test_one_way_audio_is_named_once_and_the_call_goes_on() -> None:
    rig = Rig()
    rig.talks()
    for _ in range(2):
        rig.takes(LegSilent(LegId(2), 5.0, one_way=True))
    assert told(rig, "MEDIA_ONE_WAY") == [(2, {"Silence-Seconds": 5.0})]
    assert [leg.one_way for leg in rig.control.snapshots()] == [False, True]
    assert rig.hangups() == {}


def test_what_the_media_were_like_is_told_at_the_end() -> None:
    rig = Rig()
    rig.talks()
    rig.takes(LegHeard(LegId(1), "10.0.0.1:4000"))
    report = MediaReport(packets_received=7, lost=1)
    rig.ends(1, report=report)
    assert rig.channel("DESTROY", 1).leg.report == report
    assert rig.channel("DESTROY", 1).leg.media is MediaMode.PROCESS
