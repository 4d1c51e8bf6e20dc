#!/usr/bin/env bash
# Fuzz the C++ of ext/numbers and ext/media with libFuzzer, AddressSanitizer and UBSan:  bash scripts/fuzz.sh [TARGET...]
#
# Every tests/fuzz/TARGET.cpp is a target, compiled with what its first line names after `// needs:`; all run at
# the same time, FUZZ_SECONDS long (default 60), from the inputs in tests/fuzz/corpus/TARGET and those found
# before, which stay in build/fuzz/TARGET/corpus.
# Fails with the input that broke a target; an input worth keeping goes into tests/fuzz/corpus/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly seconds=${FUZZ_SECONDS:-60}
readonly source=tests/fuzz out=build/fuzz
[[ $seconds =~ ^[1-9][0-9]*$ ]] ||
    { echo "FUZZ_SECONDS is '$seconds'; it must be a number of seconds, at least 1" >&2; exit 2; }

bash scripts/install_packages.sh scripts/debian-packages-fuzz.txt

if [ $# -gt 0 ]; then
    targets=("$@")
else
    mapfile -t targets < <(cd "$source" && printf '%s\n' *.cpp | sed 's/\.cpp$//')
fi

compile() {
    local binary=$out/$1/fuzz
    mkdir -p "$out/$1/corpus"
    if [ -f "$binary" ] && [ -z "$(find ext/numbers ext/media "$source" scripts/fuzz.sh -name '*.[chs]*' -newer "$binary")" ]; then
        return
    fi
    local first needs=()
    read -r first <"$source/$1.cpp"
    [[ $first != '// needs: '* ]] || read -ra needs <<<"${first#// needs: }"
    clang++ -std=c++20 -O1 -g -fno-omit-frame-pointer -Wall -Wextra -Wshadow -Werror \
        -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
        -Iext/numbers -Iext/media -Iext/sip "$source/$1.cpp" "${needs[@]}" -lre2 -o "$binary"
}

# Replaces the shell it runs in, so that the shell's id is the fuzzer's.
fuzz() {
    local home=$out/$1 dictionary=()
    [ ! -f "$source/$1.dict" ] || dictionary=("-dict=$source/$1.dict")
    exec "$home/fuzz" "${dictionary[@]}" -max_total_time="$seconds" -max_len=2048 -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$home/" "$home/corpus" "$source/corpus/$1" >"$home/log" 2>&1
}

for target in "${targets[@]}"; do
    [ -f "$source/$target.cpp" ] || { echo "$source/$target.cpp does not exist" >&2; exit 2; }
    compile "$target"
done

running=()
trap '[ ${#running[@]} -eq 0 ] || kill "${running[@]}" 2>/dev/null' EXIT
for target in "${targets[@]}"; do
    fuzz "$target" &
    running+=($!)
done

broken=0
for index in "${!targets[@]}"; do
    target=${targets[index]} log=$out/${targets[index]}/log
    if wait "${running[index]}"; then
        printf '%s: %s inputs, %s features covered\n' "$target" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
            "$(sed -n 's/.* ft: \([0-9]*\).*/\1/p' "$log" | tail -1)"
        continue
    fi
    broken=1
    tail -n 40 "$log" >&2
    input=$(sed -n 's/^.*Test unit written to //p' "$log" | tail -1)
    printf '%s: broken; log in %s\n' "$target" "$log" >&2
    [ -z "$input" ] || printf 'Run the input again:  %s/%s/fuzz %s\n' "$out" "$target" "$input" >&2
done
running=()
exit "$broken"
