#!/usr/bin/env bash
# The guestbook under an engine that drives it from several processes, as it would from several machines: Locust, one master and its
# workers. What the engine has counted is compared with what the server has counted: each page says which visitor one is.
#
#     ci/swarm.sh [SERVER...]        prethreaded, epoll-loop and uring-loop if none is named
#     WORKERS=4 USERS=200 SECONDS_EACH=10 THINK=0 ci/swarm.sh epoll-loop
set -euo pipefail
cd "$(dirname "$0")/.."
version=2.47.0 workers=${WORKERS:-2} users=${USERS:-100} seconds=${SECONDS_EACH:-10}
export THINK=${THINK:-1}
servers=("$@"); [ $# -gt 0 ] || servers=(prethreaded epoll-loop uring-loop)
tools=$PWD/target/tools/swarm
if [ "$("$tools/bin/locust" --version 2>/dev/null | cut -d' ' -f2)" != "$version" ]; then
  python3 -m venv "$tools" || { echo "swarm.sh needs python3 with its module venv: .ci/run installs it" >&2; exit 2; }
  "$tools/bin/pip" install --quiet "locust==$version"
fi
cargo build --quiet --profile "${PROFILE:-release}" "${servers[@]/#/--package=}"
bin=${CARGO_TARGET_DIR:-target}/${PROFILE:-release}
. ci/serving.sh
file=listings/harness/swarm/locustfile.py
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

printf '%-14s %8s %8s %8s %8s %10s %10s %6s\n' "$users users" a-second "p50 ms" "p99 ms" "max ms" "counted by" "counted by" errors
printf '%-14s %8s %8s %8s %8s %10s %10s\n' "$workers workers" '' '' '' '' "the engine" "the server"
for server in "${servers[@]}"; do
  serve "$bin/$server" --listen 127.0.0.1:0 --root "$work"
  port=$(free_port)
  for worker in $(seq "$workers"); do
    "$tools/bin/locust" -f "$file" --worker --master-host 127.0.0.1 --master-port "$port" > "$work/worker.$worker" 2>&1 & pids+=($!)
  done
  "$tools/bin/locust" -f "$file" --master --master-bind-host 127.0.0.1 --master-bind-port "$port" --expect-workers "$workers" \
    --expect-workers-max-wait 60 --headless --host "$url" --users "$users" --spawn-rate 100 --run-time "${seconds}s" \
    --stop-timeout 2 --json > "$work/said" 2> "$work/master" || { tail -20 "$work/master" "$work"/worker.* >&2; exit 1; }
  visitor=$(curl -fsS "$url/guestbook" | sed -n 's/.*You are visitor \([0-9]*\)\..*/\1/p')
  python3 - "$server" "$work/said" "$((visitor - 1))" <<'PYTHON'
import json, sys
server, said, by_server = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3])
times = {}  # the workers' histograms, added
for entry in said:
    for ms, n in entry["response_times"].items():
        times[float(ms)] = times.get(float(ms), 0) + n
asked, failed = sum(e["num_requests"] for e in said), sum(e["num_failures"] for e in said)
def percentile(part):
    left = part * asked
    for ms in sorted(times):
        left -= times[ms]
        if left <= 0: return ms
lasted = max(e["last_request_timestamp"] for e in said) - min(e["start_time"] for e in said)
print(f"{server:14} {asked / lasted:8.0f} {percentile(0.5):8.0f} {percentile(0.99):8.0f} {max(times):8.0f} {asked - failed:10} {by_server:10} {failed:6}")
if failed or asked != by_server or asked == 0: sys.exit(f"{server}: the engine and the server have counted differently, or something failed")
PYTHON
  kill -TERM "${pids[0]}"; wait "${pids[@]}" || :; pids=()
done
