"""State machines as data: a total table of state x input, drawn as it runs in docs/states.md.

Every pair of a state and an input has a written cell: a transition, an ignored input with the
reason, or a refused one with the reason and a hint. There is no default branch: a table with a pair
missing does not construct.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Generic, TypeVar

import msgspec

from engine.core.errors import EngineError

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


class Transition(msgspec.Struct, Generic[S], frozen=True):
    """Go to `state` (which may be the same) and run the method named `action` of the object."""

    state: S
    action: str


class Ignore(msgspec.Struct, frozen=True):
    """The input may come here and changes nothing; `why` names the race."""

    why: str


class Refuse(msgspec.Struct, frozen=True):
    """The input can only come here by a programming error; `hint` says what to look at."""

    why: str
    hint: str = "look at who sent this input: the object was not in a state to get it"


Cell = Transition[S] | Ignore | Refuse


class MachineError(EngineError):
    """An input came in a state that refuses it: a programming error, never the peer's fault."""

    def __init__(
        self, subject: str, state: str, given: str, allowed: tuple[str, ...], why: str, hint: str
    ) -> None:
        """Name the object, its state, its input, what it would have taken, why, and a hint."""
        super().__init__(
            f"{subject} in state {state} cannot take {given}: {why}; "
            f"allowed: {', '.join(allowed) or 'nothing'} (hint: {hint})"
        )
        self.subject = subject
        self.state = state
        self.given = given
        self.allowed = allowed
        self.why = why
        self.hint = hint


class Table(Generic[S, E]):
    """A total transition table over two enums."""

    def __init__(
        self, name: str, states: type[S], inputs: type[E], rows: Mapping[S, Mapping[E, Cell[S]]]
    ) -> None:
        """Check that every state has a cell for every input. Raises `ValueError` if not."""
        missing = [f"{s} x {e}" for s in states for e in inputs if e not in rows.get(s, {})]
        if missing:
            raise ValueError(f"table {name}: no cell for {', '.join(missing)}")
        self.name = name
        self.states = tuple(states)
        self.inputs = tuple(inputs)
        self._cells = {(s, e): rows[s][e] for s in states for e in inputs}

    def cell(self, state: S, given: E) -> Cell[S]:
        """Return what the table says about one pair."""
        return self._cells[state, given]

    def step(self, state: S, given: E, subject: object) -> Transition[S] | None:
        """Return the transition, or None when the input is ignored.

        `subject` names the object in the `MachineError` that a refused input raises; it is
        formatted only then.
        """
        cell = self._cells[state, given]
        if isinstance(cell, Transition):
            return cell
        if isinstance(cell, Ignore):
            return None
        raise MachineError(str(subject), state, given, self.allowed(state), cell.why, cell.hint)

    def allowed(self, state: S) -> tuple[str, ...]:
        """Return the inputs that this state takes or ignores."""
        return tuple(e.value for e in self.inputs if not isinstance(self._cells[state, e], Refuse))

    def actions(self, owner: type[object]) -> dict[str, Any]:
        """Return the methods of `owner` that the table names. Raises `AttributeError`."""
        cells = self._cells.values()
        return {c.action: getattr(owner, c.action) for c in cells if isinstance(c, Transition)}


def ignore(why: str, *inputs: E) -> dict[E, Ignore]:
    """Return one ignored cell for each of `inputs`; to be spread into a row."""
    return {given: Ignore(why) for given in inputs}


def refuse(why: str, *inputs: E) -> dict[E, Refuse]:
    """Return one refused cell for each of `inputs`; to be spread into a row."""
    return {given: Refuse(why) for given in inputs}
