#!/usr/bin/env bash
# The servers under the clients that people use: curl, ab, wrk, with the embedded store and with a real Redis. No error of any
# kind is allowed. Needs curl, ab, wrk and redis-server.
set -euo pipefail
cd "$(dirname "$0")/.."
for program in curl ab wrk redis-server redis-cli; do
  command -v "$program" >/dev/null || { echo "clients.sh needs $program: .ci/run installs it" >&2; exit 2; }
done
servers=(iterative forking preforked threaded prethreaded select-loop poll-loop epoll-loop uring-loop executor)
cargo build --quiet --release "${servers[@]/#/--package=}"
bin=${CARGO_TARGET_DIR:-target}/release
. ci/serving.sh
mkdir "$work/www"
printf 'small\n' > "$work/www/small.txt"
head -c 20000000 /dev/urandom > "$work/www/big.bin"

start() { serve "$bin/$server" --listen 127.0.0.1:0 --root "$work/www" "$@"; } # FLAGS...

check() { # NAME, then a command whose output is in $work/log: fails on any sign of an error
  local name=$1; shift
  "$@" > "$work/log" 2>&1 || { cat "$work/log" >&2; echo "$name failed" >&2; exit 1; }
  if grep -E 'Socket errors|Non-2xx|^(Failed requests|Write errors|Non-2xx responses): +[1-9]' "$work/log" >&2; then
    echo "$name saw errors" >&2; exit 1
  fi
  echo "  $name: $(grep -E '^Requests(/sec| per second):|requests in' "$work/log" | tr -s ' ' | paste -sd';' || echo ok)"
}

all() {
  [ "$(curl -sf "$url/small.txt")" = small ]
  curl -sf "$url/big.bin" | cmp - "$work/www/big.bin"
  curl -sf -r 1000-1999 "$url/big.bin" | cmp - <(tail -c +1001 "$work/www/big.bin" | head -c 1000)
  [ "$(curl -s -o "$work/page" -w '%{http_code}' -L -d 'remark=<b>from curl</b>' "$url/guestbook")" = 200 ]
  grep -q '&lt;b&gt;from curl' "$work/page"
  [ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Expect: 100-continue' -H 'Content-Type: application/x-www-form-urlencoded' \
    --data-binary "remark=$(head -c 900 /dev/zero | tr '\0' x)" "$url/guestbook")" = 303 ]
  [ "$(head -c 200000 /dev/zero | curl -s -o /dev/null -w '%{http_code}' --data-binary @- "$url/guestbook")" = 413 ]
  echo "  curl: files, ranges, forms, refusals"
  for path in small.txt guestbook; do
    check "ab /$path" ab -q -l -n 5000 -c 20 "$url/$path"
    check "wrk /$path" wrk -t1 -c20 -d1s -H 'Connection: close' "$url/$path"
  done
  check "wrk, keep-alive if it may" wrk -t1 -c50 -d1s "$url/small.txt"
  check "ab -k (asks for keep-alive, and may be refused it)" ab -q -k -l -n 2000 -c 20 "$url/small.txt"
}

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$work" > "$work/redis.log" & pids+=($!)
for _ in $(seq 50); do redis-cli -p "$port" ping >/dev/null 2>&1 && break; sleep 0.1; done

for server in "${servers[@]}"; do
  echo "$server with the embedded store:"
  start
  all
  stop
  echo "$server with $(redis-server --version | cut -d' ' -f1-3):"
  redis-cli -p "$port" flushall >/dev/null
  start --store "redis://127.0.0.1:$port"
  all
  [ "$(redis-cli -p "$port" lrange remarks 1 1)" = '<b>from curl</b>' ]
  stop
done
