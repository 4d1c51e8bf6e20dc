"""What the events tell to live."""

from __future__ import annotations

from engine.store.unended import UnendedCalls


def test_a_request_lives_until_its_terminal_event() -> None:
    live = UnendedCalls()
    firsts = [live.first_sequence]
    live.begin("r1", "a", 5)
    live.begin("r2", "x", 6)
    live.begin("r1", "b", 9)
    firsts.append(live.first_sequence)
    assert (set(live.channels), set(live.requests)) == ({"a", "b", "x"}, {"r1", "r2"})
    live.destroy("a")
    assert set(live.channels) == {"b", "x"}
    assert live.needed(["a", "b", "c"]) == {"a", "b"}
    live.destroy("b")
    calls = live.end("r1")
    assert calls == ["a", "b"]
    assert (set(live.channels), set(live.requests)) == ({"x"}, {"r2"})
    assert live.needed(["a", "b", "x"]) == {"a", "b", "x"}
    live.release("r1", calls)
    assert live.needed(["a", "b", "x"]) == {"x"}
    assert [*firsts, live.first_sequence] == [None, 5, 6]


def test_a_call_id_may_be_used_again_while_its_first_request_lives() -> None:
    live = UnendedCalls()
    live.begin("r1", "a", 1)
    live.destroy("a")
    live.begin("r2", "a", 2)
    live.release("r1", live.end("r1"))
    assert live.needed(["a"]) == {"a"}
    assert set(live.channels) == {"a"}


def test_what_is_not_known_has_no_effect() -> None:
    live = UnendedCalls()
    live.destroy("a")
    live.end("r")
    assert not live.channels
    assert not live.requests
