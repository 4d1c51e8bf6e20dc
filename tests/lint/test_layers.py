"""Imports inside engine/ run strictly downward; the core is free of clocks, I/O and chance."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# From the roof down; a floor imports itself and what is below it. "engine" is engine/__init__.py,
# the public names.
FLOORS = (
    "cli",
    "engine",
    "phone",
    "runtime",
    "config_file",
    "config",
    "config_values",
    "control",
    "store",
    "sip",
    "core",
    "numbers",
)

# `now` and ids are arguments of the core, so the same inputs always give the same commands.
IMPURE = frozenset(
    {
        "asyncio",
        "concurrent",
        "multiprocessing",
        "os",
        "random",
        "secrets",
        "select",
        "selectors",
        "signal",
        "socket",
        "subprocess",
        "threading",
        "time",
        "uuid",
    }
)


def floor_of(path: Path, root: Path) -> str:
    """Name the floor a file stands on: its package, or its own name right under engine/."""
    first = path.relative_to(root / "engine").parts[0]
    return "engine" if first == "__init__.py" else first.removesuffix(".py")


def imported(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Yield line and absolute dotted name of every import, wherever in the file it stands."""
    package = path.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += [node.module] if node.module else []
            for alias in node.names:
                yield node.lineno, ".".join([*base, alias.name])


def upward(root: Path) -> list[str]:
    """Report each import of engine/ that runs up, or from or to a file that is on no floor."""
    found = []
    for path in sorted((root / "engine").rglob("*.py")):
        here = floor_of(path, root)
        for line, name in imported(path, root):
            if name.split(".")[0] != "engine":
                continue
            there = name.split(".")[1] if "." in name else "engine"
            # `from engine import Engine` names something of engine/__init__.py, not a floor.
            there = there if (root / "engine" / there).exists() or there in FLOORS else "engine"
            if here not in FLOORS or FLOORS.index(there) < FLOORS.index(here):
                found.append(f"{path.relative_to(root)}:{line}: {here} imports {there} ({name})")
    return found


def impure(root: Path) -> list[str]:
    """Report each import of engine/core that reaches for a clock, the system or chance."""
    return [
        f"{path.relative_to(root)}:{line}: {name}"
        for path in sorted((root / "engine" / "core").rglob("*.py"))
        for line, name in imported(path, root)
        if name.split(".")[0] in IMPURE
    ]


def test_imports_run_downward() -> None:
    assert upward(ROOT) == []


def test_core_is_pure() -> None:
    assert impure(ROOT) == []


def test_every_floor_exists() -> None:
    files = {floor_of(path, ROOT) for path in (ROOT / "engine").rglob("*.py")}
    assert files == set(FLOORS)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("engine/core/leg.py", "from engine.sip.port import SipPort"),
        ("engine/core/leg.py", "def f():\n    import engine.runtime.loop"),
        ("engine/store/journal.py", "from ..control import http"),
        ("engine/control/http.py", "from engine import Engine"),
        ("engine/attic.py", "import engine.core"),
    ],
)
def test_an_arrow_that_runs_up_is_found(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    assert len(upward(tmp_path)) == 1


def test_an_arrow_that_runs_down_is_not(tmp_path: Path) -> None:
    (tmp_path / "engine/sip").mkdir(parents=True)
    (tmp_path / "engine/sip/port.py").write_text(
        "import time\nfrom engine.core import leg\nfrom . import x"
    )
    assert upward(tmp_path) == []


@pytest.mark.parametrize("text", ["import time", "from os import urandom", "import asyncio.queues"])
def test_impurity_in_the_core_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "engine/core").mkdir(parents=True)
    (tmp_path / "engine/core/leg.py").write_text(text)
    assert len(impure(tmp_path)) == 1
