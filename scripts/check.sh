#!/usr/bin/env bash
# Judge the tree without changing it; every checker runs, and any complaint fails:  make check
#
# C++ is held to -Wall -Wextra -Werror by the build itself (setup.py), which `make check` runs first.
set -uo pipefail
cd "$(dirname "$0")/.."
readonly bin=.venv/bin
failed=()

run() {
    printf '== %s\n' "$1"
    "${@:2}" || failed+=("$1")
}

# The stubs of the compiled modules, against the modules themselves.
stubs() {
    local modules
    mapfile -t modules < <(find engine -name '_*.pyi' | sed -e 's/\.pyi$//' -e 's,/,.,g' | sort)
    "$bin/python" -m mypy.stubtest --ignore-disjoint-bases "${modules[@]}"
}

run 'ruff format' "$bin/ruff" format --check --quiet .
run 'ruff check' "$bin/ruff" check --quiet .
run 'mypy' "$bin/mypy"
run 'stubtest' stubs
run 'layers and boundaries' "$bin/python" -m pytest -q tests/lint
run 'generated pages' "$bin/python" scripts/make_docs.py --check
run 'shell syntax' bash -n scripts/*.sh .ci/run

if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[*]}" >&2
    exit 1
fi
echo 'all checks passed'
