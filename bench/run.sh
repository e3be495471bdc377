#!/usr/bin/env bash
# Measures the chat server on this machine and holds the figures against the goals.
#
#   bench/run.sh                       about four minutes
#   SECONDS_PER_RUN=3 bench/run.sh     shorter, less exact
#
# Every run has a fresh server with a fresh database. First the server has one core and the generator the other
# ("pinned"), then both run as they would by default ("free"). The relay is the floor: it does what the server does on
# its sockets and nothing else, so the server's own work is the difference.
#
# Exit code: 0, or 1 where a run lost, doubled, reordered or refused messages, or could not be run. A missed goal
# shows in the table and changes nothing else: it may be the machine's.

set -euo pipefail

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
seconds=${SECONDS_PER_RUN:-10}
bin=${CARGO_TARGET_DIR:-target}/release
dir=$(mktemp -d "${TMPDIR:-/tmp}/chatbench.XXXXXX")
pid=
failed=0

# What is set otherwise than by default, and why.
settings=(
    limits.messages_per_second=0 # a sender here is many users
    password.memory_kib=8        # thousands of accounts are registered before the clock starts
    password.iterations=1
    log.level=warn
)

die() {
    printf 'bench/run.sh: %s\n' "$*" >&2
    exit 1
}

# Ends the process that this script started last, and nothing else.
stop() {
    [[ -n $pid ]] || return 0
    kill -TERM "$pid" 2>/dev/null || true
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    pid=
}

cleanup() {
    stop
    rm -rf -- "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

listens() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# A port that nobody listens on, below those that the kernel gives to outgoing connections.
free_port() {
    local try candidate
    for ((try = 0; try < 100; try++)); do
        candidate=$((20000 + RANDOM % 12000))
        if ! listens "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "found no free port"
}

# Waits until the process $pid listens on $port.
await_port() {
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        kill -0 "$pid" 2>/dev/null || die "what should listen on port $port ended; see above"
        if listens "$port"; then return; fi
        sleep 0.05
    done
    die "nothing listens on port $port after 10 s"
}

# Starts the server on the database in $1, as the mode says.
start_server() {
    local setting options=(--set "storage.url=sqlite:$1/chat.db" --set "http.listen=127.0.0.1:0")
    for setting in "${settings[@]}"; do options+=(--set "$setting"); done
    port=$(free_port)
    "${server_on[@]}" "$bin/chatserver" "${threads[@]}" "${options[@]}" 127.0.0.1 "$port" &
    pid=$!
    await_port
}

start_relay() {
    port=$(free_port)
    "${server_on[@]}" "$bin/chatbench" relay 127.0.0.1 "$port" >"$dir/relay.log" &
    pid=$!
    await_port
}

# generate NAME WORKLOAD OPTION...: runs the generator; its line of JSON goes to $dir/NAME.
generate() {
    local name=$1 workload=$2
    shift 2
    "${generator_on[@]}" "$bin/chatbench" "$workload" --address "127.0.0.1:$port" --seconds "$seconds" \
        --server-pid "$pid" --threads-table --json "$dir/$name" "$@" || failed=1
    printf '\n'
}

# against_server NAME WORKLOAD OPTION..., against_relay ...: the same, with a fresh one of either.
against_server() {
    printf '[%s] ' "$mode"
    mkdir -p "$dir/data-$1"
    start_server "$dir/data-$1"
    generate "$@"
    stop
}

against_relay() {
    printf '[%s, relay] ' "$mode"
    start_relay
    generate "$@"
    stop
}

# The server is started anew between registering and logging in: what registering left in its memory is no
# connection's.
idle() {
    local count=9000
    printf '[%s] ' "$mode"
    mkdir -p "$dir/data-$1"
    start_server "$dir/data-$1"
    "${generator_on[@]}" "$bin/chatbench" accounts --address "127.0.0.1:$port" --count "$count" \
        --file "$dir/accounts" || die "the accounts could not be registered"
    stop
    start_server "$dir/data-$1"
    generate "$1" idle --connections "$count" --accounts "$dir/accounts"
    stop
}

run_all() {
    against_server "$mode-1" pairs --pairs 50 --window 64 --size 64
    against_relay "$mode-1-relay" pairs --pairs 50 --window 64 --size 64
    against_server "$mode-2" pairs --pairs 500 --window 1 --size 64
    against_relay "$mode-2-relay" pairs --pairs 500 --window 1 --size 64
    against_server "$mode-3" pairs --pairs 500 --rate 20000 --size 64
    idle "$mode-4"
}

# value NAME KEY: a number of a result; empty where there is none.
value() {
    [[ -f $dir/$1 ]] || return 0
    sed -n "s/.*\"$2\":\([-+.0-9e]*\)[,}].*/\1/p" "$dir/$1" | tail -n 1
}

# row TITLE FIGURE UNIT GOAL RELATION FLOOR: one figure beside its goal; RELATION is <= or >=.
row() {
    awk -v title="$1" -v figure="$2" -v unit="$3" -v goal="$4" -v relation="$5" -v relay="$6" 'BEGIN {
        if (figure == "") { printf "  %-46s %12s\n", title, "no result"; exit }
        met = relation == "<=" ? figure + 0 <= goal + 0 : figure + 0 >= goal + 0
        form = figure + 0 >= 1000 ? "%.0f" : "%.2f"
        beside = relay == "" ? "" : sprintf("   relay: " form, relay)
        printf "  %-46s %12s %-10s goal %s %-8s %-6s%s\n", title, sprintf(form, figure), unit, relation, goal,
            met ? "met" : "MISSED", beside
    }'
}

table() {
    local mode kib
    for mode in "${modes[@]}"; do
        printf '\n%s\n' "${titles[$mode]}"
        row "50 pairs, window 64: server CPU" "$(value "$mode-1" server_us_per_message)" "us/message" 3.5 "<=" \
            "$(value "$mode-1-relay" server_us_per_message)"
        row "50 pairs, window 64: delivered" "$(value "$mode-1" delivered_per_second)" "messages/s" 250000 ">=" \
            "$(value "$mode-1-relay" delivered_per_second)"
        row "500 pairs, one outstanding: server CPU" "$(value "$mode-2" server_us_per_message)" "us/message" 16 "<=" \
            "$(value "$mode-2-relay" server_us_per_message)"
        row "500 pairs, one outstanding: delivered" "$(value "$mode-2" delivered_per_second)" "messages/s" 55000 \
            ">=" "$(value "$mode-2-relay" delivered_per_second)"
        row "500 pairs, 20,000/s: delivery p50" "$(value "$mode-3" delivery_p50_us)" "us" 400 "<=" ""
        row "500 pairs, 20,000/s: delivery p99" "$(value "$mode-3" delivery_p99_us)" "us" 2000 "<=" ""
        row "500 pairs, 20,000/s: ack p50" "$(value "$mode-3" ack_p50_us)" "us" 400 "<=" ""
        row "500 pairs, 20,000/s: ack p99" "$(value "$mode-3" ack_p99_us)" "us" 2000 "<=" ""
        kib=$(value "$mode-4" rss_bytes_per_connection)
        row "9,000 idle: resident a connection" "${kib:+$(awk -v b="$kib" 'BEGIN { print b / 1024 }')}" "KiB" 1.5 "<=" ""
    done
}

cargo build --release -p chatserver -p chatbench
ulimit -n "$(ulimit -Hn)" || true

declare -A titles=(
    [pinned]="pinned: the server on CPU 0 with --threads 1, the generator on CPU 1"
    [free]="free: default threads, any CPU, the generator beside them"
)
modes=()
if taskset -c 0 true 2>/dev/null && taskset -c 1 true 2>/dev/null; then
    modes+=(pinned)
else
    printf 'bench/run.sh: no pinned runs: they need taskset (util-linux) and CPUs 0 and 1\n' >&2
fi
modes+=(free)

read -r load _ </proc/loadavg
for mode in "${modes[@]}"; do
    if [[ $mode == pinned ]]; then
        server_on=(taskset -c 0) generator_on=(taskset -c 1) threads=(--threads 1)
    else
        server_on=() generator_on=() threads=()
    fi
    run_all
done

table
printf '\nSettings other than the default: %s\n' "${settings[*]}"
printf 'Database: SQLite on %s. Cores: %s. Load average before the first run: %s%s\n' \
    "$(stat -f -c %T "$dir")" "$(nproc)" "$load" \
    "$(awk -v load="$load" 'BEGIN { if (load > 0.5) print " (something else runs here: the figures suffer)" }')"
if ((failed)); then
    die "a run was faulty or could not be run; see above"
fi
