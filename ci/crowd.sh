#!/usr/bin/env bash
# 15,000 clients at the same time, each with a response that is checked: the loops with keep-alive, the pool of threads with
# `Connection: close`. And what an idle server does in ten seconds: nothing. By hand; needs 15,100 descriptors (ulimit -Hn).
#
#     ci/crowd.sh [CLIENTS]
set -euo pipefail
cd "$(dirname "$0")/.."
clients=${1:-15000}
cargo build --quiet --profile production -p conformance -p prethreaded -p poll-loop -p epoll-loop -p uring-loop
ulimit -n "$(ulimit -Hn)"
bin=${CARGO_TARGET_DIR:-target}/production
. ci/serving.sh
mkdir "$work/www"; head -c 612 /dev/urandom | base64 -w 0 | head -c 612 > "$work/www/small.txt"

start() { serve "$bin/$1" --listen 127.0.0.1:0 --root "$work/www" "${@:2}"; address=${url#*://}; } # PROGRAM FLAGS...
work_of() { # PID: context switches and processor ticks so far
  echo "$(awk '/ctxt_switches/ {s += $2} END {print s}' "/proc/$1/status") $(cut -d' ' -f14,15 "/proc/$1/stat")"
}

uname -sr
for server in poll-loop "epoll-loop" "epoll-loop --edge-triggered" uring-loop; do
  # shellcheck disable=SC2086 # flags are words
  start $server
  sleep 1.5
  before=$(work_of "${pids[-1]}"); sleep 10; after=$(work_of "${pids[-1]}")
  [ "$before" = "$after" ] || { echo "$server, idle: switches and ticks were $before, and are $after" >&2; exit 1; }
  echo; echo "$server: idle for 10 s, no switch and no tick"
  "$bin/crowd" "$address" --path /small.txt --clients "$clients"
  stop
done
echo; echo "prethreaded, close:"
start prethreaded
"$bin/crowd" "$address" --path /small.txt --clients "$clients" --close
stop
