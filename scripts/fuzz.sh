#!/usr/bin/env bash
# Fuzzes every target, guided by coverage, as many targets at once as there are processors. Prints a line for each, and
# fails if an input broke one, with the path of the input.
#
#   scripts/fuzz.sh [--if-available] [SECONDS [TARGET...]]
#
# SECONDS (600) are for each target. Needs a nightly compiler and cargo-fuzz. With --if-available, says that nothing was
# fuzzed where they are missing, and succeeds: `cargo test -p fuzzing` tries random mutations of the same corpus with any
# compiler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

is_optional=false
if [ "${1:-}" = --if-available ]; then
    is_optional=true
    shift
fi
seconds=${1:-600}
shift || true
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "fuzz: the seconds for each target are a positive number, not \"$seconds\"" >&2; exit 2; }

unavailable() {
    echo "fuzz: NOT FUZZED: $1" >&2
    $is_optional
    exit
}

cargo +nightly --version >/dev/null 2>&1 || unavailable 'there is no nightly compiler ("rustup toolchain install nightly")'
cargo fuzz --version >/dev/null 2>&1 || unavailable 'cargo-fuzz is not installed ("cargo install --locked cargo-fuzz")'

mapfile -t known < <(cargo +nightly fuzz list)
targets=("${@:-${known[@]}}")
for target in "${targets[@]}"; do
    printf '%s\n' "${known[@]}" | grep -qx "$target" || { echo "fuzz: there is no target \"$target\": ${known[*]}" >&2; exit 2; }
done
cargo +nightly fuzz build

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# New inputs are kept apart from the corpus of the repository. An input that takes longer than 10 s counts as a fault.
fuzz() {
    local target=$1 log=$work/$1.log
    mkdir "$work/$target"
    if cargo +nightly fuzz run "$target" "$work/$target" "fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=16384 -timeout=10 -print_final_stats=1 >"$log" 2>&1; then
        local inputs edges
        inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        edges=$(grep -a -o 'cov: [0-9]*' "$log" | tail -n 1)
        echo "fuzz: $target: withstood $inputs inputs in $seconds s, ${edges#cov: } edges covered"
        return
    fi
    # The part that says what happened: not the list of inputs before it, and not the advice of cargo-fuzz after it.
    sed -n '/panicked at\|ERROR: /,$p' "$log" | head -n 30 >&2
    local input
    input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    if [ -n "$input" ]; then
        echo "fuzz: $target: BROKEN by the input $input"
        echo "fuzz:   again: cargo +nightly fuzz run $target $input"
    else
        tail -n 20 "$log" >&2
        echo "fuzz: $target: FAILED to run"
    fi
    return 1
}

export -f fuzz
export seconds work
printf '%s\n' "${targets[@]}" | xargs --max-procs="$(nproc)" --replace=TARGET bash -c 'fuzz TARGET'
