"""The order in which commands of one channel have their turn."""

import pytest

from engine.control.amqp_command_queue import MAX_WAITING, CommandQueue
from engine.control.kapi_dialplan import Action, Command, InsertAt, Nothing, Order, Play

SOUND = Play("de", False, frozenset())


def command(name: str, action: Action = SOUND) -> Command:
    return Command("c", name, action, name, {})


def order(*commands: Command, at: InsertAt = InsertAt.TAIL) -> Order:
    return Order("c", at, commands)


def names(queue: CommandQueue) -> list[str]:
    found = []
    while (taken := queue.next()) is not None:
        found.append(taken.application)
    return found


@pytest.fixture
def queue() -> CommandQueue:
    """A queue in which two wait."""
    made = CommandQueue()
    assert made.insert(order(command("1"), command("2")))
    return made


def test_first_come_first_served(queue: CommandQueue) -> None:
    assert queue.insert(order(command("3")))
    assert names(queue) == ["1", "2", "3"]
    assert queue.idle


def test_head_goes_before_what_waits(queue: CommandQueue) -> None:
    assert queue.insert(order(command("a"), command("b"), at=InsertAt.HEAD))
    assert names(queue) == ["a", "b", "1", "2"]


def test_nothing_has_its_turn_while_something_runs(queue: CommandQueue) -> None:
    queue.running = queue.next()
    assert queue.next() is None
    assert not queue.idle
    assert queue.completed("play")
    assert queue.next() == command("2")


def test_another_end_is_not_the_one_that_is_waited_for(queue: CommandQueue) -> None:
    queue.running = queue.next()
    assert not queue.completed("bridge")
    assert queue.running is not None


def test_flush_drops_what_waits_and_its_end_is_passed_over(queue: CommandQueue) -> None:
    queue.running = queue.next()
    assert queue.insert(order(command("new"), at=InsertAt.FLUSH))
    queue.running = queue.next()
    assert queue.running == command("new")
    assert not queue.completed("play")
    assert queue.running == command("new")
    assert queue.completed("play")
    assert queue.idle


def test_what_overtook_is_over_before_what_is_waited_for(queue: CommandQueue) -> None:
    queue.running = queue.next()
    queue.overtaken(command("now"))
    queue.overtaken(command("noop", Nothing()))
    assert not queue.completed("play")
    assert queue.completed("play")


def test_it_is_bounded(queue: CommandQueue) -> None:
    many = [command(str(n)) for n in range(MAX_WAITING)]
    assert not queue.insert(order(*many))
    assert names(queue) == ["1", "2"]
    assert queue.insert(order(*many))
    assert not queue.insert(order(command("more"), at=InsertAt.HEAD))
    assert queue.insert(order(*many, at=InsertAt.FLUSH))


def test_what_is_left_when_the_channel_goes(queue: CommandQueue) -> None:
    queue.running = queue.next()
    assert queue.abandon() == [command("2")]
    assert queue.idle
