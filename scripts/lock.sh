#!/usr/bin/env bash
# Write requirements.lock: every Python package of the project, its tests and its tools, with hashes.
# Run after changing the dependencies in pyproject.toml:  make lock
set -euo pipefail
cd "$(dirname "$0")/.."

tool=build/lock
[ -x "$tool/bin/uv" ] || { "${PYTHON:-python3}" -m venv "$tool" && "$tool/bin/pip" install -q 'uv>=0.8'; }
# --universal: one file for every Python from 3.11 on.
"$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
    --custom-compile-command 'make lock' --extra test --extra dev "$@" -o requirements.lock pyproject.toml
