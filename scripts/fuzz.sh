#!/usr/bin/env bash
# Runs every fuzz target for the given number of seconds, as many at once as there are processors, guided by coverage.
# Needs a nightly compiler and cargo-fuzz; without them it says so and does nothing, as `cargo test -p fuzzing` tries
# random mutations of the same inputs on any compiler. What breaks a target is kept in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-600}
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo 'fuzz: no nightly compiler (rustup toolchain install nightly): only the bounded run of cargo test is made'
    exit 0
fi
if ! cargo fuzz --version >/dev/null 2>&1 && ! cargo install --quiet --locked cargo-fuzz; then
    echo 'fuzz: cargo-fuzz cannot be installed: only the bounded run of cargo test is made'
    exit 0
fi

cargo +nightly fuzz build
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
# What libFuzzer finds is not added to the corpus of the repository.
for target in $(cargo +nightly fuzz list); do
    mkdir "$found/$target"
    echo "$target"
done | xargs --max-procs="$(nproc)" --replace=TARGET sh -ec '
    cargo +nightly fuzz run TARGET "$1/TARGET" fuzz/corpus/TARGET -- -max_total_time="$2" -max_len=16384 >"$1/TARGET.log" 2>&1 || {
        cat "$1/TARGET.log"
        echo "fuzz: TARGET is broken" >&2
        exit 255
    }
    echo "fuzz: TARGET: $(grep -a -o "stat::number_of_executed_units: *[0-9]*\|^Done [0-9]* runs" "$1/TARGET.log" | tail -n 1)"
' sh "$found" "$seconds"
