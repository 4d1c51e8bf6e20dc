#!/usr/bin/env bash
# Write requirements.lock: every Python package of the project, its tests and its tools, with hashes;
# and requirements-bench.lock: those that only the benchmarks compare with.
# Run after changing the dependencies in pyproject.toml:  make lock
set -euo pipefail
cd "$(dirname "$0")/.."

tool=build/lock
[ -x "$tool/bin/uv" ] || { "${PYTHON:-python3}" -m venv "$tool" && "$tool/bin/pip" install -q 'uv>=0.8'; }
# --universal: one file for every Python from 3.11 on.
compile() {
    "$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --custom-compile-command 'make lock' "$@"
}

compile --extra test --extra dev "$@" -o requirements.lock pyproject.toml
# The extra alone, in versions that go with the rest: it is installed beside what is already there.
"$tool/bin/python" - pyproject.toml <<'EOF' | compile --constraint requirements.lock "$@" -o requirements-bench.lock -
import sys, tomllib

with open(sys.argv[1], "rb") as file:
    print(*tomllib.load(file)["project"]["optional-dependencies"]["bench"], sep="\n")
EOF
