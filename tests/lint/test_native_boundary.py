"""Native code stays below the line: no GIL, no pjproject above the facade, one importer."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXT = ROOT / "ext"
NATIVE = sorted(
    path for kind in ("*.pyx", "*.pxd", "*.hpp", "*.h", "*.cpp") for path in EXT.rglob(kind)
)
CPP = [path for path in NATIVE if path.suffix in {".hpp", ".cpp"}]
MEDIA = [path for path in CPP if path.parent.name == "media"]

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
EXTERN = re.compile(r'cdef extern from "([^"]+)"')
# The facades' own headers: what may be built on without seeing pjproject.
FACADE = (
    "sip/stack.hpp",
    "sip/wire.hpp",
    "sip/mailbox.hpp",
    "media/media.hpp",
    "media/terms.hpp",
    "media/report.hpp",
)


def code(path: Path) -> str:
    """Return a C++ or Cython file without comments, which may name what code may not use."""
    comment = (
        r"//[^\n]*|/\*.*?\*/" if path.suffix in {".hpp", ".cpp", ".h"} else r"#(?!\s*include)[^\n]*"
    )
    return re.sub(comment, "", path.read_text(), flags=re.DOTALL)


def is_pj(header: str) -> bool:
    """Tell whether an included header is one of pjproject's."""
    return re.match(r"pj(lib|nath|media|sip|sua)?[\w+-]*([./]|$)", header) is not None


def reachable(header: Path) -> set[str]:
    """Return all headers a header includes, directly or through headers of ours."""
    seen: set[str] = set()
    waiting = [header]
    while waiting:
        for name in INCLUDE.findall(code(waiting.pop())):
            if name not in seen:
                waiting += [own for own in CPP if own.name == name]
            seen.add(name)
    return seen


def importers(module: str, *folders: str) -> set[str]:
    """Return the files under the folders that import a module by any spelling."""
    package, _, name = module.rpartition(".")
    found = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = node.module or (package if node.level == 1 else "")
                names = {base, *(f"{base}.{alias.name}" for alias in node.names)}
            else:
                continue
            if module in names or (name in names and path.parent.name == package.split(".")[-1]):
                found.add(str(path.relative_to(ROOT)))
    return found


def test_there_is_native_code_to_judge() -> None:
    assert {"_stack.pyx", "stack.cpp", "number_filter.pyx", "dialplan.pyx"} <= {
        path.name for path in NATIVE
    }


@pytest.mark.parametrize("path", NATIVE, ids=lambda path: path.name)
def test_native_code_never_takes_the_gil(path: Path) -> None:
    assert not re.search(r"\bwith\s+gil\b|PyGILState|PyEval_", code(path))


@pytest.mark.parametrize("path", CPP, ids=lambda path: path.name)
def test_cpp_does_not_know_python(path: Path) -> None:
    assert "Python.h" not in INCLUDE.findall(code(path))


@pytest.mark.parametrize("name", FACADE)
def test_the_facade_shows_no_pjproject(name: str) -> None:
    assert [header for header in reachable(EXT / name) if is_pj(header)] == []


def test_cython_sees_the_facade_only() -> None:
    seen = {
        header
        for pyx in EXT.rglob("*.pyx")
        for name in EXTERN.findall(code(pyx))
        for own in CPP
        if own.name == name
        for header in reachable(own) | {name}
    }
    assert "stack.hpp" in seen
    assert [header for header in seen if is_pj(header)] == []


def test_the_leg_and_the_sip_thread_alone_use_pjsua2() -> None:
    users = {
        path.name
        for path in CPP
        if any("pjsua2" in header for header in INCLUDE.findall(code(path)))
    }
    assert users == {"leg.hpp", "stack.cpp"}


@pytest.mark.parametrize("path", MEDIA, ids=lambda path: path.name)
def test_the_media_plane_knows_no_pjproject(path: Path) -> None:
    included = reachable(path) | set(INCLUDE.findall(code(path)))
    assert [header for header in included if is_pj(header)] == []


def test_media_headers_are_seen_through() -> None:
    assert {"terms.hpp", "mailbox.hpp"} <= reachable(EXT / "media" / "stream.hpp")


def test_one_module_imports_the_compiled_stack() -> None:
    assert importers("engine.sip._stack", "engine", "benchmarks", "scripts", "tests") == {
        "engine/sip/native.py"
    }


@pytest.mark.parametrize(
    "header", ["pjsua2.hpp", "pjsua-lib/pjsua.h", "pjmedia.h", "pj/types.h", "pjlib.h"]
)
def test_pjproject_headers_are_recognised(header: str) -> None:
    assert is_pj(header)
