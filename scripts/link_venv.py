"""Make the source tree importable from its .venv and its commands runnable from .venv/bin.

What `pip install --editable` does, without its isolated second build of the compiled modules.
The softphone's binding comes along from .deps/pjsip/python.
"""

import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAUNCHER = """\
#!{python}
import sys

from {module} import {name}

sys.exit({name}())
"""


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file unless it already says the same."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        path.chmod(mode)


def main() -> None:
    """Write the path file and one launcher per entry of `project.scripts`."""
    binding = ROOT / ".deps" / "pjsip" / "python"
    site = Path(sysconfig.get_path("purelib"))
    write(site / "quickcall-engine.pth", f"{ROOT}\n{binding}\n")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for command, entry in project["scripts"].items():
        module, _, name = entry.partition(":")
        launcher = LAUNCHER.format(python=sys.executable, module=module, name=name)
        write(Path(sysconfig.get_path("scripts")) / command, launcher, 0o755)


if __name__ == "__main__":
    main()
