#!/usr/bin/env bash
# Make a fresh clone ready to run:  make setup
#
# Debian packages, pjproject, the Python environment .venv with the locked packages, the compiled modules
# in place, and the command .venv/bin/quickcall. Every step is skipped when its inputs did not change.
# PYTHON names another interpreter (default python3); build flags: see setup.py.
set -euo pipefail
cd "$(dirname "$0")/.."

export PYTHON=${PYTHON:-python3}
readonly venv=.venv

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

check_python() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$PYTHON is $("$PYTHON" --version 2>&1); Python 3.11 or later is needed (set PYTHON=...)"
}

# changed STAMP KEY: whether the step behind STAMP last ran with another KEY.
changed() { [ "$(cat "$1" 2>/dev/null)" != "$2" ]; }

environment() {
    local key stamp=$venv/.requirements
    key=$({ "$PYTHON" -c 'import sys; print(sys.version, sys.base_prefix)'; cat requirements.lock; } | sha256sum)
    changed "$stamp" "$key" || return 0
    say "installing the locked Python packages into $venv"
    "$PYTHON" -m venv --clear "$venv"
    "$venv/bin/pip" install -qq --disable-pip-version-check --require-hashes -r requirements.lock
    echo "$key" >"$stamp"
}

# Everything the compiled modules depend on, and which of them exist: a deleted one is built again.
modules_key() {
    {
        readlink .deps/pjsip*
        cat "$venv/.requirements" setup.py
        env | grep '^ENGINE_' | sort || true
        find ext -type f -exec sha256sum {} + | sort
        find engine -name '*.so' | sort
    } | sha256sum
}

# The compiler decides what to rebuild; the key only spares asking it when nothing at all changed.
compiled_modules() {
    local stamp=build/.modules
    changed "$stamp" "$(modules_key)" || return 0
    say "building the compiled modules"
    mkdir -p build
    "$venv/bin/python" setup.py -q build_ext --inplace
    modules_key >"$stamp"
}

# Two setups at once would write the same objects.
mkdir -p .deps
exec 8>.deps/.setup
flock 8
bash scripts/install_packages.sh scripts/debian-packages.txt
check_python
# The softphone uses the release build whatever the engine is built with.
env -u ENGINE_DEBUG -u ENGINE_SANITIZE bash scripts/build_pjsip.sh
bash scripts/build_pjsip.sh
environment
compiled_modules
"$venv/bin/python" scripts/link_venv.py
