#!/usr/bin/env bash
# The second tier of the fault table: what needs strace, nginx or a real Redis. Then the committed matrix must agree with
# what the servers have just shown, here and in `cargo test`, which comes first.
set -euo pipefail
cd "$(dirname "$0")/.."
for program in strace nginx redis-server redis-cli python3; do
  command -v "$program" >/dev/null || { echo "faults.sh needs $program: .ci/run installs it" >&2; exit 2; }
done
work=$(mktemp -d)
redis=
cleanup() { [ -z "$redis" ] || { kill "$redis"; wait "$redis" || :; }; rm -rf "$work"; }
trap cleanup EXIT
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$work" > "$work/log" & redis=$!
for _ in $(seq 50); do redis-cli -p "$port" ping >/dev/null 2>&1 && break; sleep 0.1; done

# Of the whole workspace, as `cargo test` has built it: of one package, its dependencies would be built once more, with fewer
# features.
WHO_WAITS_REDIS=127.0.0.1:$port cargo test --quiet --workspace --test redis
WHO_WAITS_STRACE=strace WHO_WAITS_NGINX=$(command -v nginx) cargo test --quiet --workspace --test conformance -- \
  injected against_nginx
# The same tools against servers that are wrong on purpose: what they inject is caught.
WHO_WAITS_STRACE=strace WHO_WAITS_NGINX=$(command -v nginx) cargo test --quiet --workspace --test wrong -- injected against_nginx
# The index of system calls has every call that the programs make.
WHO_WAITS_STRACE=strace cargo test --quiet --workspace --test traced
# The simulator shows what the loops do.
cargo run --quiet --bin record-steps -- --check
cargo run --quiet --bin conformance -- matrix --check
