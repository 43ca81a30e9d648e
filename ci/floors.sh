#!/usr/bin/env bash
# What the servers make of a small file with `Connection: close` and 20 clients, against nginx: the ratio of medians of
# interleaved rounds, one core for the server and one for wrk. By hand, on a quiet machine; never part of a test.
#
#     ci/floors.sh [ROUNDS] [SECONDS]        needs nginx, wrk and taskset
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-5} seconds=${2:-4}
for program in nginx wrk taskset; do
  command -v "$program" >/dev/null || { echo "floors.sh needs $program: install it with your package manager" >&2; exit 2; }
done
cargo build --quiet --profile production -p iterative -p forking -p preforked
work=$(mktemp -d)
pids=()
cleanup() { kill "${pids[@]}" 2>/dev/null || :; wait "${pids[@]}" 2>/dev/null || :; rm -rf "$work"; }
trap cleanup EXIT
chmod 755 "$work"; mkdir "$work/www"
head -c 612 /dev/urandom | base64 -w 0 | head -c 612 > "$work/www/small.txt"

cat > "$work/nginx.conf" <<CONF
daemon off; master_process off; worker_processes 1; pid $work/nginx.pid; error_log $work/error.log;
events { worker_connections 16384; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  open_file_cache max=1000; open_file_cache_valid 60s; types { text/plain txt; }
  client_body_temp_path $work/a; proxy_temp_path $work/b; fastcgi_temp_path $work/c; uwsgi_temp_path $work/d; scgi_temp_path $work/e;
  server { listen 127.0.0.1:18081 backlog=4096; root $work/www; }
}
CONF
taskset -c 0 nginx -e "$work/error.log" -p "$work" -c "$work/nginx.conf" & pids+=($!)
bin=${CARGO_TARGET_DIR:-target}/production
# Name, port, floor (0: none), command.
servers=(
  "iterative 18082 0.8 iterative"
  "iterative-without-cache 18083 0 iterative --no-file-cache"
  "forking 18084 0.15 forking"
  "preforked 18085 0.7 preforked"
  "preforked-reuseport 18086 0 preforked --reuseport"
)
names=(nginx) ports=(18081)
for server in "${servers[@]}"; do
  read -r name port _ program flags <<<"$server"
  # shellcheck disable=SC2086 # flags are several words, or none
  taskset -c 0 "$bin/$program" --listen "127.0.0.1:$port" --root "$work/www" $flags > "$work/$name.out" & pids+=($!)
  names+=("$name") ports+=("$port")
done
sleep 1

measure() { # PORT: requests a second; any error makes the round void
  local out; out=$(taskset -c 1 wrk -t1 -c20 -d"${seconds}s" -H 'Connection: close' "http://127.0.0.1:$1/small.txt")
  if grep -qE 'Socket errors|Non-2xx' <<<"$out"; then echo "errors on port $1: $out" >&2; exit 1; fi
  awk '/Requests\/sec/ {print $2}' <<<"$out"
}
for ((round = 0; round < rounds; round++)); do
  for i in "${!names[@]}"; do measure "${ports[i]}" >> "$work/${names[i]}"; done
done
median() { sort -n "$1" | awk '{a[NR]=$1} END {print (NR % 2) ? a[(NR+1)/2] : (a[NR/2]+a[NR/2+1])/2}'; }
echo "$(uname -sr), 612 bytes, close, 20 clients, $rounds rounds of $seconds s, requests a second: median (lowest to highest)"
nginx=$(median "$work/nginx")
for name in "${names[@]}"; do
  sorted=$(sort -n "$work/$name")
  printf '%-24s %8.0f (%.0f to %.0f)  %.2f of nginx\n' "$name" "$(median "$work/$name")" "$(head -1 <<<"$sorted")" \
    "$(tail -1 <<<"$sorted")" "$(awk -v a="$(median "$work/$name")" -v b="$nginx" 'BEGIN {print a / b}')"
done
for server in "${servers[@]}"; do
  read -r name _ floor _ <<<"$server"
  awk -v a="$(median "$work/$name")" -v b="$nginx" -v floor="$floor" 'BEGIN {exit !(a / b >= floor)}' ||
    { echo "$name is below the floor of $floor" >&2; exit 1; }
done
