#!/usr/bin/env bash
# A cached file's latency while somebody downloads a cold one of a GiB: the servers named, by hand, on a quiet machine with
# two processors and a folder on a disk (target/, or what TMPDIR names). One processor for the server, one for the clients.
#
#     ci/stall.sh [COMMAND...]     a server's name, with its flags in the same word; by default three that differ in who reads
#
# The 99th percentile beside the download is to stay within twice the idle one, for all but those that read in the loop.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- "epoll-loop --files-in-loop" "epoll-loop" "epoll-loop --pool-always"
bin=${CARGO_TARGET_DIR:-target}/production
packages=(-p file-stall) servers=()
for server; do
  packages+=(-p "${server%% *}")
  servers+=("$bin/$server")
done
cargo build --quiet --profile production "${packages[@]}"
# In the real-time class, where we may have it: what else the machine does is not measured then.
first=()
chrt -f 1 true 2>/dev/null && first=(chrt -f 1)
exec "${first[@]}" "$bin/beside" --dir "${TMPDIR:-target}" --rate "${RATE:-2000}" --rounds "${ROUNDS:-5}" "${servers[@]}"
