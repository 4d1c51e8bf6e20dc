"""What is committed works for anyone: no paths or hosts of one machine, true commands."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGETS = {"setup", "demo", "serve", "test", "check", "bench", "docs", "help"}
LIMIT = 500

# In pieces, because this file is read by its own test.
HOSTS = [
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "npmjs" + ".org",
    "deb." + "debian.org",
    "ftp." + "debian.org",
]
LOCAL = re.compile(r"(?<![\w.$}-])/(?:work|root|home|Users)/\w")


def tracked() -> list[Path]:
    """Return the files git tracks and that still exist."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    """Return a file's text; bytes that are no text (recordings) count as nothing."""
    return path.read_bytes().decode("utf-8", errors="ignore")


def complaints(text: str) -> list[str]:
    """Return the hosts and machine paths a text names."""
    return [host for host in HOSTS if host in text] + LOCAL.findall(text)


def makefile() -> str:
    """Return the Makefile's text."""
    return (ROOT / "Makefile").read_text()


def targets() -> set[str]:
    """Return the targets the Makefile documents."""
    return set(re.findall(r"^([a-z]+):.*## ", makefile(), re.MULTILINE))


def test_no_file_names_a_registry_or_a_machine() -> None:
    found = {str(path.relative_to(ROOT)): complaints(text_of(path)) for path in tracked()}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize(
    "text", ["see /" + "root/notes", f"https://{HOSTS[0]}/simple", '"/' + 'home/ann/x"']
)
def test_such_names_are_found(text: str) -> None:
    assert len(complaints(text)) == 1


@pytest.mark.parametrize(
    "text", ["~/.cache", "/var/lib/quickcall", "network/work/rules", "$HOME/work/x"]
)
def test_other_paths_are_not(text: str) -> None:
    assert complaints(text) == []


def test_files_stay_small() -> None:
    kinds = {".py", ".pyx", ".pyi", ".cpp", ".hpp", ".h", ".sh"}
    sizes = {path: text_of(path).count("\n") for path in tracked() if path.suffix in kinds}
    assert {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > LIMIT} == {}


def test_the_makefile_has_its_targets() -> None:
    assert targets() >= TARGETS


def test_what_the_makefile_runs_exists() -> None:
    files = re.findall(r"(?:bash|\$\(python\)) ((?:scripts|benchmarks)/\S+)", makefile())
    assert files
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_make_commands_in_the_readme_exist() -> None:
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"(?:^|`|\$ )make ([a-z]+)", readme, re.MULTILINE))
    assert {"demo", "test"} <= named
    assert named <= targets()


def test_ci_runs_the_readmes_test_command() -> None:
    run = ROOT / ".ci" / "run"
    assert os.access(run, os.X_OK)
    assert run.read_text().rstrip().endswith("\nmake test")


def test_every_script_can_be_run() -> None:
    scripts = [path for path in tracked() if path.suffix == ".sh"]
    assert scripts
    for path in scripts:
        assert text_of(path).startswith("#!/usr/bin/env bash\n"), path
        assert os.access(path, os.X_OK), path


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-bench.lock"])
def test_the_lock_has_a_hash_for_every_package(lock: str) -> None:
    entries = re.split(r"\n(?=\w)", (ROOT / lock).read_text().split("\n", 2)[2])
    assert len(entries) > 10
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
