"""What translating between two codecs costs.

python benchmarks/bench_transcode.py [--json] [--rounds N]

The transcoder of ext/media alone, in a program of its own (`load/media/transcode.cpp`): packets of
20 ms in, packets of 20 ms out, without sockets. `us_there` and `us_back`: microseconds of CPU time
for a packet each way, decoding and encoding together, the least of the rounds. `cpu_pct_per_pair`:
of a core, for a call of 50 packets a second each way; relaying (bench_media.py) comes on top.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.bench_number_filter import machine

ROOT = Path(__file__).resolve().parent.parent
PLAIN = "PCMU/8000/1"
WIDE = "G722/8000/1"
PAIRS = (
    (PLAIN, "PCMA/8000/1"),
    (PLAIN, WIDE),
    (PLAIN, "GSM/8000/1"),
    (PLAIN, "SPEEX/8000/1"),
    (PLAIN, "G729/8000/1"),
    (PLAIN, "AMR/8000/1"),
    (PLAIN, "AMR-WB/16000/1"),
    (PLAIN, "OPUS/48000/2"),
    (WIDE, "OPUS/48000/2"),
)
LIBRARIES = (
    *("spandsp", "opus", "gsm", "speex", "bcg729", "opencore-amrnb", "opencore-amrwb"),
    *("vo-amrwbenc", "speexdsp"),
)
SOURCES = ("codec*.cpp", "amr_payload.cpp", "resampler.cpp", "transcoder.cpp")


def compiled(folder: str) -> str:
    """Compile the program with the engine's own flags; return its path."""
    program = str(Path(folder, "transcode"))
    media = ROOT / "ext" / "media"
    own = [str(path) for pattern in SOURCES for path in sorted(media.glob(pattern))]
    source = str(ROOT / "benchmarks" / "load" / "media" / "transcode.cpp")
    command = ["c++", "-std=c++20", "-O2", f"-I{media}", "-o", program, source, *own]
    subprocess.run([*command, *(f"-l{name}" for name in LIBRARIES)], check=True)
    return program


def main() -> None:
    """Measure every pair both ways and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    both = [codec for one, other in PAIRS for codec in (one, other, other, one)]
    with TemporaryDirectory(prefix="transcode-") as folder:
        command = [compiled(folder), str(options.rounds), *both]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    times: list[float] = json.loads(out)
    rows: list[dict[str, object]] = [machine()]
    for number, (one, other) in enumerate(PAIRS):
        there, back = times[2 * number : 2 * number + 2]
        names = (one.partition("/")[0], other.partition("/")[0])
        share = round((there + back) * 50 / 1e6 * 100, 3)
        rows.append(
            {
                "pair": "-".join(names),
                "us_there": there,
                "us_back": back,
                "cpu_pct_per_pair": share,
            }
        )
    for row in rows:
        print(json.dumps(row) if options.json else "  ".join(f"{k} {v}" for k, v in row.items()))


if __name__ == "__main__":
    main()
