"""Every table alone: each state x input has a cell, each action a method, each state a way to
it."""

import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from engine.core.bridge import BRIDGE_TABLE, Bridge
from engine.core.bypass import Bypass
from engine.core.bypass_table import BYPASS_TABLE
from engine.core.leg import Leg
from engine.core.leg_table import LEG_TABLE
from engine.core.machine import Ignore, MachineError, Refuse, Table, Transition, ignore
from engine.core.originate import Originate
from engine.core.originate_table import ORIGINATE_TABLE

TABLES: list[tuple[Table[Any, Any], type[object]]] = [
    (LEG_TABLE, Leg),
    (BRIDGE_TABLE, Bridge),
    (BYPASS_TABLE, Bypass),
    (ORIGINATE_TABLE, Originate),
]
CELLS = [
    pytest.param(table, state, given, id=f"{table.name}-{state}-{given}")
    for table, _ in TABLES
    for state in table.states
    for given in table.inputs
]


class Light(StrEnum):
    RED = "red"
    GREEN = "green"


class Signal(StrEnum):
    GO = "go"
    STOP = "stop"


LIGHT = Table(
    "light",
    Light,
    Signal,
    {
        Light.RED: {Signal.GO: Transition(Light.GREEN, "shine"), **ignore("is red", Signal.STOP)},
        Light.GREEN: {
            Signal.GO: Refuse("it is green", "look twice"),
            Signal.STOP: Transition(Light.RED, "shine"),
        },
    },
)


@pytest.mark.parametrize(("table", "state", "given"), CELLS)
def test_every_pair_is_a_transition_an_ignore_or_an_error(
    table: Table[Any, Any], state: StrEnum, given: StrEnum
) -> None:
    cell = table.cell(state, given)
    if isinstance(cell, Transition):
        assert table.step(state, given, "x") is cell
        assert cell.state in table.states
    elif isinstance(cell, Ignore):
        assert cell.why
        assert table.step(state, given, "x") is None
    else:
        with pytest.raises(MachineError, match=f"x in state {state} cannot take {given}") as caught:
            table.step(state, given, "x")
        assert given not in caught.value.allowed
        assert caught.value.why in str(caught.value)
        assert caught.value.hint in str(caught.value)


@pytest.mark.parametrize(("table", "owner"), TABLES)
def test_every_action_is_a_method_that_says_so(table: Table[Any, Any], owner: type[object]) -> None:
    for action in table.actions(owner).values():
        assert action.__doc__.startswith("Action: ")


@pytest.mark.parametrize(("table", "owner"), TABLES)
def test_every_state_is_reached_and_the_last_is_the_end(
    table: Table[Any, Any], owner: type[object]
) -> None:
    reached = {table.states[0]}
    while True:
        cells = (table.cell(state, given) for state in reached for given in table.inputs)
        more = {cell.state for cell in cells if isinstance(cell, Transition)} - reached
        if not more:
            break
        reached |= more
    assert reached == set(table.states)
    ends = [
        state
        for state in table.states
        if not any(isinstance(table.cell(state, given), Transition) for given in table.inputs)
    ]
    # Media go to and fro for as long as the two talk; everything else comes to an end.
    assert ends == ([] if table is BYPASS_TABLE else [table.states[-1]])


def test_a_missing_pair_does_not_construct() -> None:
    rows = {Light.RED: {Signal.GO: Transition(Light.GREEN, "shine")}}
    with pytest.raises(ValueError, match="no cell for red x stop, green x go, green x stop"):
        Table("light", Light, Signal, rows)


def test_an_error_names_object_state_input_and_what_was_allowed() -> None:
    with pytest.raises(MachineError) as caught:
        LIGHT.step(Light.GREEN, Signal.GO, "light 7")
    assert str(caught.value) == (
        "light 7 in state green cannot take go: it is green; allowed: stop (hint: look twice)"
    )


def test_an_action_without_a_method_does_not_bind() -> None:
    with pytest.raises(AttributeError, match="shine"):
        LIGHT.actions(Light)


def test_the_page_of_diagrams_is_up_to_date() -> None:
    script = Path(__file__).resolve().parents[3] / "scripts" / "make_docs.py"
    checked = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, "")
