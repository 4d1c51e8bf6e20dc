"""Compile ext/<part>/<name>.pyx, with the part's C++, into the module engine.<part>._<name>.

Flags, from the environment: ENGINE_DEBUG=1 (symbols, assertions), ENGINE_SANITIZE=address,undefined,
ENGINE_COVERAGE=1 (gcov and Cython line tracing), ENGINE_ANNOTATE=1 (Cython's HTML reports under build/).
pjproject must have been built with the same flags: scripts/build_pjsip.sh.
"""

import os
from glob import glob
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SANITIZE = os.environ.get("ENGINE_SANITIZE", "")
DEBUG = os.environ.get("ENGINE_DEBUG") == "1" or bool(SANITIZE)
COVERAGE = os.environ.get("ENGINE_COVERAGE") == "1"
PJSIP = Path(".deps", "pjsip-sanitize" if SANITIZE else "pjsip-debug" if DEBUG else "pjsip")
# Objects of other flags or another pjproject never mix: each combination has its own directory.
BUILD = Path("build", PJSIP.resolve().name + ("-coverage" if COVERAGE else ""))

# Our own C++ has no warnings; what Cython generates is not ours to fix.
STRICT = ["-Wall", "-Wextra", "-Wshadow", "-Wnon-virtual-dtor", "-Woverloaded-virtual", "-Werror"]
COMPILE = ["-std=c++20", "-fvisibility=hidden"]
COMPILE += ["-O1", "-g", "-UNDEBUG", "-fno-omit-frame-pointer"] if DEBUG else ["-O2", "-g0"]
COMPILE += ["--coverage", "-DCYTHON_TRACE_NOGIL=1"] if COVERAGE else []
LINK = ["--coverage"] if COVERAGE else []
if SANITIZE:
    COMPILE += [f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=all"]
    LINK += [f"-fsanitize={SANITIZE}"]


def extension(pyx: str) -> Extension:
    """Describe the module of one .pyx file; every header of its part is a dependency."""
    part = Path(pyx).parent
    name = f"engine.{part.name}._{Path(pyx).stem.lstrip('_')}"
    depends = glob(f"{part}/*.hpp") + glob(f"{part}/*.pxd")
    found = Extension(name, [pyx, *sorted(glob(f"{part}/*.cpp"))], [str(part)], depends=depends)
    found.language = "c++"
    found.extra_compile_args, found.extra_link_args = list(COMPILE), list(LINK)
    if part.name == "sip":
        found.extra_compile_args += ["-isystem", f"{PJSIP}/include", *flags("compile-flags")]
        found.extra_link_args += [f"-L{PJSIP}/lib", *flags("link-flags")]
    else:
        found.libraries = ["re2"]
    return found


def flags(name: str) -> list[str]:
    """Return the flags that scripts/build_pjsip.sh wrote beside the libraries; none before it ran."""
    path = PJSIP / name
    return path.read_text().split() if path.exists() else []


class Build(build_ext):
    """Cythonize into build/, and hold hand-written C++ to stricter warnings than generated C++."""

    def build_extensions(self) -> None:
        """Compile and link; ends with one sentence when pjproject has not been built."""
        if not (PJSIP / "link-flags").exists():
            raise SystemExit(f"{PJSIP} is missing: build pjproject with scripts/build_pjsip.sh first.")
        compile_one = self.compiler._compile

        def compile_strictly(obj, src, ext, cc_args, extra, pp_opts):  # type: ignore[no-untyped-def]
            own = ["-w"] if src.startswith("build") else STRICT
            compile_one(obj, src, ext, cc_args, extra + own, pp_opts)

        self.compiler._compile = compile_strictly
        super().build_extensions()


MODULES = cythonize(
    [extension(pyx) for pyx in sorted(glob("ext/*/*.pyx"))],
    build_dir=str(BUILD / "cython"),
    include_path=sorted({str(Path(pyx).parent) for pyx in glob("ext/*/*.pyx")}),
    annotate=os.environ.get("ENGINE_ANNOTATE") == "1",
    compiler_directives={"language_level": 3, "linetrace": COVERAGE},
    quiet=True,
)

setup(
    ext_modules=MODULES,
    cmdclass={"build_ext": Build},
    options={"build": {"build_base": str(BUILD)}, "build_ext": {"parallel": 2}},
)
