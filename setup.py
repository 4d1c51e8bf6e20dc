"""Compile ext/<part>/<name>.pyx, with the part's C++, into the module engine.<part>._<name>.

Environment: ENGINE_DEBUG=1 (symbols, assertions), ENGINE_SANITIZE=address,undefined,
ENGINE_COVERAGE=1 (gcov, Cython line tracing), ENGINE_ANNOTATE=1 (Cython's reports, in build/).
scripts/build_pjsip.sh must have run with the same.
"""

import os
from glob import glob
from hashlib import sha256
from pathlib import Path
from platform import machine

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SANITIZE = os.environ.get("ENGINE_SANITIZE", "")
DEBUG = os.environ.get("ENGINE_DEBUG") == "1" or bool(SANITIZE)
COVERAGE = os.environ.get("ENGINE_COVERAGE") == "1"
PJSIP = Path(".deps", "pjsip-sanitize" if SANITIZE else "pjsip-debug" if DEBUG else "pjsip")
# What other flags, another pjproject or another version of this file made is never mixed in.
INPUTS = (PJSIP.resolve().name, SANITIZE, COVERAGE, Path(__file__).read_text())
BUILD = Path("build", sha256(repr(INPUTS).encode()).hexdigest()[:16])

STRICT = ["-Wall", "-Wextra", "-Wshadow", "-Wnon-virtual-dtor", "-Woverloaded-virtual", "-Werror"]
COMPILE = ["-std=c++20", "-fvisibility=hidden"]
COMPILE += ["-O1", "-g", "-UNDEBUG", "-fno-omit-frame-pointer"] if DEBUG else ["-O2", "-g0"]
COMPILE += ["-DCYTHON_TRACE_NOGIL=1"] * COVERAGE + ["-fno-sanitize-recover=all"] * bool(SANITIZE)
# Functions of pjproject that ext/sip stands in front of.
WRAPPED = (
    *(
        "pjsua_aud_channel_update",
        "pjsua_media_channel_update",
        "pjmedia_stream_info_from_sdp",
        "pjsip_inv_usage_init",
        "pjsip_inv_send_msg",
        "pjsip_dlg_fork",
        "pjsip_endpt_create_pool",
        "pjmedia_transport_srtp_create",
    ),
    "pj_getaddrinfo",
)
WRAP = [f"-Wl,--wrap={name}" for name in WRAPPED]
BOTH = ["--coverage"] * COVERAGE + [f"-fsanitize={SANITIZE}"] * bool(SANITIZE)


def extension(pyx: str) -> Extension:
    """Describe the module of one .pyx file; every header of its part is a dependency."""
    part = Path(pyx).parent
    name = f"engine.{part.name}._{Path(pyx).stem.lstrip('_')}"
    depends = glob(f"{part}/*.hpp") + glob(f"{part}/*.pxd")
    found = Extension(name, [pyx, *sorted(glob(f"{part}/*.cpp"))], [str(part)], depends=depends)
    found.language = "c++"
    found.extra_compile_args, found.extra_link_args = COMPILE + BOTH, list(BOTH)
    if part.name == "sip":
        found.sources += sorted(glob("ext/media/*.cpp"))
        found.include_dirs.append("ext/media")
        found.depends += glob("ext/media/*.hpp")
        found.extra_compile_args += ["-isystem", f"{PJSIP}/include", *flags("compile-flags")]
        found.extra_link_args += [f"-L{PJSIP}/lib", *WRAP, *flags("link-flags"), "-lspandsp"]
    else:
        found.libraries = ["re2"]
        # Every x86-64 made since 2009 counts bits in one instruction; the baseline does not say so.
        found.extra_compile_args += ["-mpopcnt"] * (machine() == "x86_64")
    return found


def flags(name: str) -> list[str]:
    """Return the flags that scripts/build_pjsip.sh wrote beside the libraries, if any."""
    path = PJSIP / name
    return path.read_text().split() if path.exists() else []


class Build(build_ext):
    """Cythonize into build/, and hold hand-written C++ to stricter warnings than generated C++."""

    def build_extensions(self) -> None:
        """Compile and link; ends with one sentence when pjproject has not been built."""
        if not (PJSIP / "link-flags").exists():
            raise SystemExit(f"{PJSIP} is missing: run scripts/build_pjsip.sh first.")
        compile_one = self.compiler._compile

        def compile_strictly(obj, src, ext, cc_args, extra, pp_opts):
            own = ["-w"] if src.startswith("build") else STRICT
            compile_one(obj, src, ext, cc_args, extra + own, pp_opts)

        self.compiler._compile = compile_strictly
        super().build_extensions()


setup(
    ext_modules=cythonize(
        [extension(pyx) for pyx in sorted(glob("ext/*/*.pyx"))],
        build_dir=str(BUILD / "cython"),
        include_path=sorted(glob("ext/*/")),
        annotate=os.environ.get("ENGINE_ANNOTATE") == "1",
        compiler_directives={"linetrace": COVERAGE, "autotestdict": False, "auto_pickle": False},
        quiet=True,
    ),
    cmdclass={"build_ext": Build},
    options={"build": {"build_base": str(BUILD)}, "build_ext": {"parallel": 2}},
)
