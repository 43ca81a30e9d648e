#!/usr/bin/env bash
# A cached file's latency while somebody downloads a cold one of a GiB: the servers named, by hand, on a quiet machine with
# two processors and a folder on a disk (target/, or what TMPDIR names). One processor for the server, one for the clients.
#
#     ci/stall.sh [COMMAND...]     a server's name, with its flags in the same word; by default three that differ in who reads
#
# The 99th percentile beside the download is to stay within twice the idle one, for all but those that read in the loop.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- "epoll-loop --files-in-loop" "epoll-loop" "uring-loop"
bin=${CARGO_TARGET_DIR:-target}/production
packages=(-p file-stall) servers=()
for server; do
  packages+=(-p "${server%% *}")
  servers+=("$bin/$server")
done
cargo build --quiet --profile production "${packages[@]}"
# Not in the real-time class: there the kernel takes the processor away for 50 ms in each second in which others want it and get
# none (sched(7)), and those 50 ms would be measured. What else the machine did is printed.
exec "$bin/beside" --dir "${TMPDIR:-target}" --rate "${RATE:-2000}" --rounds "${ROUNDS:-5}" "${servers[@]}"
