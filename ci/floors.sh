#!/usr/bin/env bash
# What the servers make of a small file, against nginx and against a loop without an application: ratios of medians of
# interleaved rounds, one core for the server and one for wrk. By hand, on a quiet machine; never part of a test.
#
#     ci/floors.sh [ROUNDS] [SECONDS]        needs nginx, wrk and taskset
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-5} seconds=${2:-4}
for program in nginx wrk taskset; do
  command -v "$program" >/dev/null || { echo "floors.sh needs $program: install it with your package manager" >&2; exit 2; }
done
packages=(iterative forking preforked threaded prethreaded select-loop poll-loop epoll-loop uring-loop executor)
cargo build --quiet --profile production "${packages[@]/#/--package=}"
ulimit -n "$(ulimit -Hn)"
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
bin=${CARGO_TARGET_DIR:-target}/production
# Name, port, and the command line.
servers=(
  "iterative 18082 iterative"
  "iterative-without-cache 18083 iterative --no-file-cache"
  "forking 18084 forking"
  "preforked 18085 preforked"
  "preforked-reuseport 18086 preforked --reuseport"
  "threaded 18087 threaded"
  "prethreaded 18088 prethreaded"
  "prethreaded-all-accept 18089 prethreaded --all-accept"
  "select 18090 select-loop"
  "poll 18091 poll-loop"
  "epoll 18092 epoll-loop"
  "epoll-edge 18093 epoll-loop --edge-triggered"
  "epoll-one-shot 18094 epoll-loop --one-shot"
  "epoll-without-cache 18095 epoll-loop --no-file-cache"
  "uring 18097 uring-loop"
  "uring-defer 18098 uring-loop --defer-taskrun"
  "uring-interrupt 18099 uring-loop --interrupt"
  "uring-as-of-5.10 18100 uring-loop --as-of 5.10"
  "uring-without-cache 18101 uring-loop --no-file-cache"
  "tasks-epoll 18102 executor"
  "tasks-uring 18103 executor --over io_uring"
)
declare -A process ports=([nginx]=18081 [bare]=18096) paths=([epoll-page]=guestbook [poll-page]=guestbook)
taskset -c 0 nginx -e "$work/error.log" -p "$work" -c "$work/nginx.conf" & pids+=($!) process[nginx]=$!
taskset -c 0 "$bin/bare" 127.0.0.1:18096 > "$work/bare.out" & pids+=($!) process[bare]=$!
for server in "${servers[@]}"; do
  read -r name port program flags <<<"$server"
  # shellcheck disable=SC2086 # flags are several words, or none
  taskset -c 0 "$bin/$program" --listen "127.0.0.1:$port" --root "$work/www" $flags > "$work/$name.out" & pids+=($!) process[$name]=$!
  ports[$name]=$port
done
sleep 1

failed=0
# Microseconds of processor time that a server of one process has used; 0 for those with children.
used() { awk -v hz="$(getconf CLK_TCK)" '{print ($14 + $15) * 1000000 / hz}' "/proc/${process[$1]}/stat"; }
median() { sort -n "$1" | awk '{a[NR]=$1} END {print (NR % 2) ? a[(NR+1)/2] : (a[NR/2]+a[NR/2+1])/2}'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'; }

compare() { # TITLE, the peer, clients, keep-alive or close; then NAME=FLOOR for each server, the peer among them without one
  local title=$1 peer=$2 clients=$3 arguments=(-c"$3"); [ "$4" = keep-alive ] || arguments+=(-H "Connection: close")
  shift 4
  rm -f "$work"/rate.* "$work"/cost.*
  for ((round = 0; round < rounds; round++)); do
    for entry in "$@"; do
      local name=${entry%%=*} out before; before=$(used "$name")
      local address=127.0.0.1:${ports[$name]} path=/${paths[$name]:-small.txt}
      # wrk is the limit of whoever answers faster than it asks; ask is a client over a ring, for keep-alive alone.
      if [ "${generator:-wrk}" = ask ]; then
        out=$(taskset -c 1 "$bin/ask" "$address" "$path" "$clients" "$seconds" | tee "$work/wrk")
      else
        out=$(taskset -c 1 wrk -t1 -d"${seconds}s" "${arguments[@]}" "http://$address$path" | tee "$work/wrk")
      fi
      if grep -qE 'Socket errors|Non-2xx' "$work/wrk"; then echo "errors from $name: $out" >&2; exit 1; fi
      awk '/Requests\/sec/ {print $2}' "$work/wrk" >> "$work/rate.$name"
      awk -v b="$before" -v a="$(used "$name")" '/requests in/ {print (a - b) / $1}' "$work/wrk" >> "$work/cost.$name"
    done
  done
  echo; echo "$title: requests a second, median (lowest to highest) of $rounds rounds of $seconds s"
  local against; against=$(median "$work/rate.$peer")
  for entry in "$@"; do
    local name=${entry%%=*} floor=${entry#*=} rate share mark=
    rate=$(median "$work/rate.$name"); share=$(ratio "$rate" "$against")
    if awk -v s="$share" -v f="${floor:-0}" 'BEGIN {exit !(s < f)}'; then mark="  BELOW THE FLOOR OF $floor"; failed=1; fi
    printf '%-24s %8.0f (%.0f to %.0f)  %s of %s, %.1f µs of processor%s\n' "$name" "$rate" "$(sort -n "$work/rate.$name" | head -1)" \
      "$(sort -n "$work/rate.$name" | tail -1)" "$share" "$peer" "$(median "$work/cost.$name")" "$mark"
  done
}

uname -sr

compare "612 bytes, close, 20 clients" nginx 20 close nginx= iterative=0.8 iterative-without-cache= \
  forking=0.15 preforked=0.7 preforked-reuseport= threaded=0.55 prethreaded=0.7 prethreaded-all-accept= select= poll=0.8 epoll=0.8 epoll-edge=
for clients in 64 1000; do
  loops=(poll= epoll=1.3 epoll-edge= epoll-one-shot= epoll-without-cache=)
  [ "$clients" = 1000 ] || loops=(select= "${loops[@]}")
  compare "612 bytes, keep-alive, $clients clients" nginx "$clients" keep-alive nginx= "${loops[@]}" bare=
  compare "the same against a loop without an application" bare "$clients" keep-alive bare= epoll=0.8
  compare "io_uring against epoll, keep-alive, $clients clients" epoll "$clients" keep-alive epoll= nginx= uring= bare=
  generator=ask compare "the same, asked over a ring" epoll "$clients" keep-alive epoll= nginx= \
    uring=1.15 uring-defer= uring-interrupt= uring-as-of-5.10= uring-without-cache= bare=
done
for clients in 64 1000; do
  compare "tasks against loops, keep-alive, $clients clients" epoll "$clients" keep-alive epoll= tasks-epoll= uring= tasks-uring=
done
compare "io_uring against epoll, keep-alive, 1 client" epoll 1 keep-alive epoll= uring= uring-defer=
compare "io_uring against epoll, close, 20 clients" epoll 20 close epoll= uring= uring-defer=
# The page is two commands to the store in one round trip; a short one, since no remark was added.
ports[epoll-page]=${ports[epoll]} ports[poll-page]=${ports[poll]} process[epoll-page]=${process[epoll]} process[poll-page]=${process[poll]}
compare "the page against the same server's file, 64 clients" epoll 64 keep-alive epoll= epoll-page=0.4 poll-page=
exit "$failed"
