#!/usr/bin/env bash
# Races: the servers with threads under ThreadSanitizer and load; it fails on any report. Needs curl, ab, wrk, gcc, nm, and
# x86-64 Linux.
#
#     ci/tsan.sh [SECONDS]           how long each round of wrk lasts (2)
#     ci/tsan.sh build               compiles, and no more
#
# What it sees: every access of the code that is compiled here, the crates of this workspace and those they stand on, and
# generic code of the standard library (Arc, Vec, the fast path of a lock), which is compiled with its user; system calls,
# since rustix is told to go by the C library. What it does not see: the rest of the standard library, which comes compiled
# and, without its source, stays as it is: a race between two places inside it is not reported. What orders threads in there
# would be missed, too, and give false alarms: ci/tsan/std.c tells the sanitizer of it, ci/tsan/ordered.rs shows that it is
# told enough, ci/tsan/suppressions names the rest. A run proves nothing of what did not happen in it: two accesses are
# reported if nothing orders them, even if they were far apart, but both must have been executed.
#
# Of the event loops those are run that have a pool of threads behind them: epoll-loop and executor with every file handed over
# (the threads of the latter call its wakers), and the FTP server over epoll. The others are one thread. The processes of the forking servers share no memory that they write.
# The embedded store is the server's own executable, and its threads are watched as well.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-2}
for program in curl ab wrk gcc nm; do
  command -v "$program" >/dev/null || { echo "tsan.sh needs $program: .ci/run installs it" >&2; exit 2; }
done
triple=$(rustc -vV | sed -n 's/^host: //p')
[ "$triple" = x86_64-unknown-linux-gnu ] || { echo "tsan.sh knows the standard library's calling convention on x86-64 Linux only, this is $triple" >&2; exit 2; }
. ci/serving.sh

# RUSTC_BOOTSTRAP: the stable compiler, which has the sanitizer's runtime, takes the flag for it.
export RUSTC_BOOTSTRAP=1
sanitized=(-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer)
small() { rustc --edition 2024 -O --target "$triple" "${sanitized[@]}" "$@"; }

# The names of what std.c stands in front of, as the linker knows them.
small ci/tsan/ordered.rs -o "$work/unaware"
define=() names=(__tsan_atomic64_fetch_sub __tsan_atomic_thread_fence)
for call in LOCK_CONTENDED=Mutex14lock_contended WAIT=Condvar4wait WAIT_TIMEOUT=Condvar12wait_timeout LEAVE_SCOPE=ScopeData29decrement_num_running_threads; do
  name=$(nm "$work/unaware" | awk '{print $3}' | grep -E "^_RNv.*3std.*${call#*=}\$") ||
    { echo "tsan.sh: the standard library of $(rustc --version) has no ${call#*=}: ci/tsan/std.c is to be adapted" >&2; exit 1; }
  define+=("-D${call%=*}=$name") names+=("$name")
done
home=${CARGO_TARGET_DIR:-$PWD/target}/tsan
mkdir -p "$home"
gcc -O2 -Wall -Wextra -c ci/tsan/std.c -o "$work/std.o" "${define[@]}"
cmp -s "$work/std.o" "$home/std.o" || cp "$work/std.o" "$home/std.o"
sanitized+=("-Clink-arg=$home/std.o" "${names[@]/#/-Clink-arg=-Wl,--wrap=}")

# exitcode: what a program that was found out ends with, whatever else it ended with.
export TSAN_OPTIONS="suppressions=$PWD/ci/tsan/suppressions exitcode=66 log_path=$work/report halt_on_error=0"
no_report() { # WHAT
  local reports; reports=$(find "$work" -name 'report.*')
  [ -z "$reports" ] && return
  # shellcheck disable=SC2086 # several files
  { sed "s/ (BuildId: .*)//" $reports; echo "$1: ThreadSanitizer reports the above"; } >&2
  exit 1
}

# A sanitizer that is silent where there is a race says nothing of the servers; one that is not silent where there is none
# says nothing, either.
small ci/tsan/race.rs -o "$work/race"
for race in counter lock; do
  code=0; "$work/race" "$race" || code=$?
  [ $code = 66 ] && grep -q 'WARNING: ThreadSanitizer: data race' "$work"/report.* ||
    { echo "tsan.sh: the planted race '$race' was not reported" >&2; exit 1; }
  rm "$work"/report.*
done
small ci/tsan/ordered.rs -o "$work/ordered"
"$work/unaware" 2>/dev/null && { echo "tsan.sh: without std.c nothing is reported of ordered.rs: it tests nothing" >&2; exit 1; }
rm -f "$work"/report.*
for _ in 1 2 3; do
  code=0; "$work/ordered" || code=$?
  no_report "threads that are in order"
  [ $code = 0 ] || { echo "tsan.sh: ordered.rs ended with $code" >&2; exit 1; }
done
echo "planted races are reported, ordered threads are not"

CARGO_TARGET_DIR=$home RUSTFLAGS="${sanitized[*]} --cfg=rustix_use_libc" \
  cargo build --quiet --release --target "$triple" -p threaded -p prethreaded -p epoll-loop -p executor -p ftp --bin threaded --bin prethreaded --bin epoll-loop --bin executor --bin ftp
[ "$seconds" != build ] || exit 0
bin=$home/$triple/release
mkdir "$work/www"
printf 'small\n' > "$work/www/small.txt"
head -c 8000000 /dev/urandom > "$work/www/big.bin"

printf 'remark=many' > "$work/form"
takes() { curl -sf "$1" | cmp - "$work/www/big.bin"; }
# It goes away in the middle: what it ends with says that it could not have everything.
leaves() { local code=0; curl -s --limit-rate 10K --max-time 0.3 -o /dev/null "$1" || code=$?; [ $code = 28 ] || { echo "curl ended with $code" >&2; return 1; }; }

load() { # SERVER FLAGS...
  local name=$1; shift
  echo "$name $*:"
  serve "$bin/$name" --listen 127.0.0.1:0 --root "$work/www" "$@" || { no_report "$name at its start"; exit 1; }
  [ "$(curl -sf "$url/small.txt")" = small ]
  [ "$(curl -s -o /dev/null -w '%{http_code}' -d 'remark=seen' "$url/guestbook")" = 303 ]
  # All at once: files and pages, kept alive and closed, forms, clients that go away in the middle.
  local clients=() what=()
  client() { what+=("$*"); "$@" & clients+=($!); }
  client wrk -t1 -c16 -d"${seconds}s" "$url/small.txt" > "$work/wrk.1"
  client wrk -t1 -c8 -d"${seconds}s" -H 'Connection: close' "$url/guestbook" > "$work/wrk.2"
  client ab -q -l -n 300 -c 4 -p "$work/form" -T application/x-www-form-urlencoded "$url/guestbook" > "$work/ab"
  for _ in 1 2 3 4 5 6; do
    client leaves "$url/big.bin"
    client takes "$url/big.bin"
  done
  for i in "${!clients[@]}"; do
    wait "${clients[i]}" || { no_report "$name $*"; echo "$name $*: a client failed: ${what[i]}" >&2; exit 1; }
  done
  # Stopped while everybody is at it: what they lose then is not counted here.
  wrk -t1 -c16 -d3s "$url/small.txt" > "$work/wrk.3" 2>&1 & clients=($!)
  ab -q -k -l -r -n 100000 -c 8 "$url/guestbook" > "$work/ab.2" 2>&1 & clients+=($!)
  sleep 1
  local code=0
  stop || code=$?
  for client in "${clients[@]}"; do wait "$client" || :; done
  no_report "$name $*"
  [ $code = 0 ] || { echo "$name $*: ended with $code after SIGTERM" >&2; exit 1; }
  echo "  $(awk '/requests in/ {n += $1} END {print n}' "$work"/wrk.[123]) requests by wrk, no report"
}
load threaded
load threaded --max-connections 6 --no-file-cache
load prethreaded
load prethreaded --all-accept --workers 4
load epoll-loop --pool-always
load executor --pool-always

echo "ftp over epoll:"
mkdir "$work/www/in"
serve "$bin/ftp" --listen 127.0.0.1:0 --root "$work/www" --uploads in || { no_report "ftp at its start"; exit 1; }
clients=()
for i in 1 2 3 4; do
  takes "$url/big.bin" & clients+=($!)
  leaves "$url/big.bin" & clients+=($!)
  { curl -sf -T "$work/www/big.bin" "$url/in/$i" && cmp "$work/www/in/$i" "$work/www/big.bin"; } & clients+=($!)
  curl -sf "$url/in/" > "$work/listing.$i" & clients+=($!)
done
for client in "${clients[@]}"; do wait "$client" || { no_report ftp; echo "ftp: a client failed" >&2; exit 1; }; done
stop || { code=$?; no_report ftp; echo "ftp: ended with $code after SIGTERM" >&2; exit 1; }
no_report ftp
echo "  files both ways, and clients that left; no report"
echo "no race was reported"
