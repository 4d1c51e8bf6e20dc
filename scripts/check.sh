#!/usr/bin/env bash
# Judge the tree without changing it; every checker runs, and any complaint fails:  make check
#
# C++ of its own is held to -Wall -Wextra -Werror by the build (setup.py), which `make check` runs first;
# headers that only generated C++ includes are compiled here. Fuzzing takes FUZZ_SECONDS (default 60).
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

# Each header alone, with the warnings setup.py asks for: generated C++ is compiled without any.
headers() {
    local strict header status=0
    mapfile -t strict < <(sed -n '/^STRICT = /s/"/\n/gp' setup.py | grep '^-')
    [[ " ${strict[*]} " = *' -Werror '* ]] || { echo 'setup.py has no line STRICT with -Werror' >&2; return 1; }
    for header in ext/numbers/*.hpp; do
        c++ -std=c++20 -fsyntax-only "${strict[@]}" -x c++ - <<<"#include \"$header\"" || status=1
    done
    return $status
}

run 'ruff format' "$bin/ruff" format --check --quiet .
run 'ruff check' "$bin/ruff" check --quiet .
run 'mypy' "$bin/mypy"
run 'stubtest' stubs
run 'layers and boundaries' "$bin/python" -m pytest -q tests/lint
run 'generated pages' "$bin/python" scripts/make_docs.py --check
run 'shell syntax' bash -n scripts/*.sh .ci/run
run 'headers' headers
run 'fuzzing' bash scripts/fuzz.sh

if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[*]}" >&2
    exit 1
fi
echo 'all checks passed'
