"""What the events tell to live."""

from __future__ import annotations

from engine.store.unended import UnendedCalls


def test_a_request_is_over_after_its_channels_and_its_terminal_event() -> None:
    live = UnendedCalls()
    firsts = [live.first_sequence]
    live.begin("r1", "a", 5)
    live.begin("r2", "x", 6)
    live.begin("r1", "b", 9)
    firsts.append(live.first_sequence)
    assert (set(live.channels), set(live.requests)) == ({"a", "b", "x"}, {"r1", "r2"})
    assert live.destroy("a") == ("r1", ())
    assert set(live.channels) == {"b", "x"}
    assert live.needed(["a", "b", "c"]) == {"a", "b"}
    assert live.destroy("b") == ("r1", ())
    over = live.end("r1")
    assert over == ("r1", ["a", "b"])
    assert (set(live.channels), set(live.requests)) == ({"x"}, {"r2"})
    assert live.needed(["a", "b", "x"]) == {"a", "b", "x"}
    live.release(*over)
    assert live.needed(["a", "b", "x"]) == {"x"}
    assert [*firsts, live.first_sequence] == [None, 5, 6]


def test_a_channel_may_outlive_its_request() -> None:
    live = UnendedCalls()
    live.begin("r1", "moved", 1)
    live.begin("r2", "x", 2)
    assert live.end("r1") == ("r1", ())
    assert (set(live.channels), set(live.requests)) == ({"moved", "x"}, {"r2"})
    first = live.first_sequence
    assert live.destroy("moved") == ("r1", ["moved"])
    assert (first, live.first_sequence) == (1, 2)


def test_a_call_id_may_be_used_again_while_its_first_request_lives() -> None:
    live = UnendedCalls()
    live.begin("r1", "a", 1)
    live.destroy("a")
    live.begin("r2", "a", 2)
    live.release(*live.end("r1"))
    assert live.needed(["a"]) == {"a"}
    assert set(live.channels) == {"a"}


def test_what_is_not_known_has_no_effect() -> None:
    live = UnendedCalls()
    assert live.destroy("a") == ("", ())
    assert live.end("r") == ("r", ())
    assert not live.channels
    assert not live.requests
