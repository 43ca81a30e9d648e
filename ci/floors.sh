#!/usr/bin/env bash
# What this book's programs are to reach, each floor beside what was measured: by hand, on a quiet machine; never part of a test.
# Ratios are of medians of interleaved rounds, one core for the server and one for the generator. Ends with 1 if a floor was missed.
#
#     ci/floors.sh [PART...]            all parts if none is named: about 70 minutes, of which `tests` takes 30
#     ROUNDS=7 SECONDS_EACH=2 ci/floors.sh servers
#
# servers     a small file and the page, against nginx, a loop without an application, and each other   (nginx, wrk)
# crowd       15,000 clients at the same time, each with a response that is checked
# generator   `load` against wrk, at the loop without an application                                    (wrk)
# files       reads at a depth, against fio with the same engine                                        (fio)
# idle        memory for an idle connection                                                             (nginx, if it is there)
# tests       `cargo test -p LISTING` for each listing, and `cargo test`, from nothing but what was downloaded
# pages       the weight of each page's first load, and what it asks of others                          (chromium, npm)
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${ROUNDS:-5} seconds=${SECONDS_EACH:-4}
all=(servers crowd generator files idle tests pages)
parts=("$@"); [ $# -gt 0 ] || parts=("${all[@]}")
needs() { # PART PROGRAM...
  local part=$1 program; shift
  for program in "$@"; do
    command -v "$program" >/dev/null || { echo "floors.sh $part needs $program: install it with your package manager" >&2; exit 2; }
  done
}
for part in "${parts[@]}"; do
  case $part in
  servers) needs servers nginx wrk taskset ;;
  generator) needs generator wrk taskset python3 ;;
  files) needs files fio ;;
  pages) needs pages chromium npm ;;
  crowd | idle | tests) ;;
  *) echo "floors.sh: no part is called $part; there are: ${all[*]}" >&2; exit 2 ;;
  esac
done
ulimit -n "$(ulimit -Hn)"
. ci/serving.sh
chmod 755 "$work"; mkdir "$work/www"
head -c 612 /dev/urandom | base64 -w 0 | head -c 612 > "$work/www/small.txt"
bin=${CARGO_TARGET_DIR:-target}/production
: > "$work/verdicts"
verdict() { # WHAT MEASURED FLOOR 1|0
  local mark=held; [ "$4" = 1 ] || mark=MISSED
  printf '%-6s  %-74s %10s  floor %s\n' "$mark" "$1" "$2" "$3" >> "$work/verdicts"
}
median() { sort -n "$1" | awk '{a[NR]=$1} END {print (NR % 2) ? a[(NR+1)/2] : (a[NR/2]+a[NR/2+1])/2}'; }
# Of nothing, 0: whoever was not there to be compared with has not been beaten.
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", (b > 0) ? a / b : 0}'; }
yes_or_no() { if [ "$1" = 1 ]; then echo yes; else echo no; fi; }
at_least() { awk -v a="$1" -v b="$2" 'BEGIN {print (a >= b)}'; }
build() { cargo build --quiet --profile production "${@/#/--package=}"; }

# Requests a second, how many, processor seconds of the generator, its memory in MB.
ask_with_wrk() { # CORE ARGUMENTS...
  local core=$1; shift
  taskset -c "$core" python3 - wrk -t1 "$@" > "$work/wrk" <<'PYTHON'
import resource, subprocess, sys
said = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True, text=True).stdout
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(said, "\nused", used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
PYTHON
  if grep -qE 'Socket errors|Non-2xx' "$work/wrk"; then cat "$work/wrk" >&2; exit 1; fi
  awk '/Requests\/sec/ {rate = $2} /requests in/ {n = $1} /^ *used/ {print rate, n, $2, $3}' "$work/wrk"
}
ask_with_load() { # CORE ARGUMENTS...
  local core=$1; shift
  taskset -c "$core" "$bin/load" --json "$@" > "$work/load" || { cat "$work/load" >&2; exit 1; }
  python3 - "$work/load" <<'PYTHON'
import json, sys
out = json.load(open(sys.argv[1]))
errors = sum(out["errors"].values()) + sum(out["ramp"]["errors"].values())
if errors: sys.exit(f"errors: {out['errors']} {out['ramp']['errors']}")
used = out["generator"]
print(out["answered"] / out["seconds"], out["answered"], used["processor"], used["peak_kib"] / 1024)
PYTHON
}

# Microseconds of processor time that a server of one process has used; 0 for those with children.
used() { awk -v hz="$(getconf CLK_TCK)" '{print ($14 + $15) * 1000000 / hz}' "/proc/${process[$1]}/stat"; }

compare() { # TITLE, the peer, clients, keep-alive or close; then NAME=FLOOR for each server, the peer among them without one
  local title=$1 peer=$2 clients=$3 arguments=(-c"$3"); [ "$4" = keep-alive ] || arguments+=(-H "Connection: close")
  shift 4
  rm -f "$work"/rate.* "$work"/cost.* "$work"/busy.*
  for ((round = 0; round < rounds; round++)); do
    for entry in "$@"; do
      local name=${entry%%=*} before; before=$(used "$name")
      local address=127.0.0.1:${ports[$name]} path=/${paths[$name]:-small.txt}
      if [ "${generator:-wrk}" = load ]; then
        ask_with_load 1 -c "$clients" -s "$seconds" "http://$address$path" > "$work/asked"
      else
        ask_with_wrk 1 -d"${seconds}s" "${arguments[@]}" "http://$address$path" > "$work/asked"
      fi
      awk '{print $1}' "$work/asked" >> "$work/rate.$name"
      awk -v s="$seconds" '{print 100 * $3 / s}' "$work/asked" >> "$work/busy.$name"
      awk -v b="$before" -v a="$(used "$name")" '{print (a - b) / $2}' "$work/asked" >> "$work/cost.$name"
    done
  done
  echo; echo "$title: requests a second, median (lowest to highest) of $rounds rounds of $seconds s"
  local against; against=$(median "$work/rate.$peer")
  for entry in "$@"; do
    local name=${entry%%=*} floor=${entry#*=} rate share mark=
    rate=$(median "$work/rate.$name"); share=$(ratio "$rate" "$against")
    if awk -v s="$share" -v f="${floor:-0}" 'BEGIN {exit !(s < f)}'; then mark="  BELOW THE FLOOR OF $floor"; fi
    [ -z "$floor" ] || verdict "$title: $name against $peer" "$share" "$floor" "$(at_least "$share" "$floor")"
    # Who asks, in percent of its processor: from 90 on it is the limit, and this server may be faster. If that is the peer, the
    # shares of all others may be smaller.
    printf '%-24s %8.0f (%.0f to %.0f)  %s of %s, %.1f µs of processor, asked at %.0f %%%s\n' "$name" "$rate" "$(sort -n "$work/rate.$name" | head -1)" \
      "$(sort -n "$work/rate.$name" | tail -1)" "$share" "$peer" "$(median "$work/cost.$name")" \
      "$(median "$work/busy.$name")" "$mark"
  done
}

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
  "uring-coop 18098 uring-loop --coop-taskrun"
  "uring-interrupt 18099 uring-loop --interrupt"
  "uring-as-of-5.10 18100 uring-loop --as-of 5.10"
  "uring-without-cache 18101 uring-loop --no-file-cache"
  "tasks-epoll 18102 executor"
  "tasks-uring 18103 executor --over io_uring"
)
declare -A process ports paths
servers() {
  build iterative forking preforked threaded prethreaded select-loop poll-loop epoll-loop uring-loop executor load
  ports=([nginx]=18081 [bare]=18096 [bare-ring]=18104)
  sed "s|@LISTEN@|127.0.0.1:18081|; s|@ROOT@|\"$work/www\"|; s|@WORK@|$work|g" listings/harness/nginx.conf > "$work/nginx.conf"
  taskset -c 0 nginx -e stderr -p "$work" -c "$work/nginx.conf" 2> "$work/error.log" & pids+=($!) process[nginx]=$!
  taskset -c 0 "$bin/bare" 127.0.0.1:18096 > "$work/bare.out" & pids+=($!) process[bare]=$!
  taskset -c 0 "$bin/bare-ring" 127.0.0.1:18104 > "$work/bare-ring.out" & pids+=($!) process[bare-ring]=$!
  for server in "${servers[@]}"; do
    read -r name port program flags <<<"$server"
    # shellcheck disable=SC2086 # flags are several words, or none
    taskset -c 0 "$bin/$program" --listen "127.0.0.1:$port" --root "$work/www" $flags > "$work/$name.out" & pids+=($!) process[$name]=$!
    ports[$name]=$port
  done
  sleep 1

  compare "612 bytes, close, 20 clients" nginx 20 close nginx= iterative=0.8 iterative-without-cache= \
    forking=0.15 preforked=0.7 preforked-reuseport= threaded=0.55 prethreaded=0.7 prethreaded-all-accept= select= poll=0.8 epoll=0.8 epoll-edge=
  # wrk is the limit of whoever answers faster than it asks, so here it asks only to be compared with.
  for clients in 64 1000; do
    loops=(poll= epoll=1.3 epoll-edge= epoll-one-shot= epoll-without-cache=)
    [ "$clients" = 1000 ] || loops=(select= "${loops[@]}")
    compare "612 bytes, keep-alive, $clients clients, asked by wrk" nginx "$clients" keep-alive nginx= epoll= uring= bare= bare-ring=
    generator=load
    compare "612 bytes, keep-alive, $clients clients" nginx "$clients" keep-alive nginx= "${loops[@]}" uring=1.6 bare= bare-ring=
    compare "a loop without an application, $clients clients" bare "$clients" keep-alive bare= epoll=0.8
    compare "a ring without an application, $clients clients" bare-ring "$clients" keep-alive bare-ring= uring=
    compare "io_uring against epoll, keep-alive, $clients clients" epoll "$clients" keep-alive epoll= \
      uring=1.15 uring-coop= uring-interrupt= uring-as-of-5.10= uring-without-cache=
    compare "tasks against loops, keep-alive, $clients clients" epoll "$clients" keep-alive epoll= tasks-epoll= uring= tasks-uring=
    generator=wrk
  done
  compare "io_uring against epoll, keep-alive, 1 client" epoll 1 keep-alive epoll= uring= uring-coop=
  compare "io_uring against epoll, close, 20 clients" epoll 20 close epoll= uring= uring-coop=
  # The page is two commands to the store in one round trip; a short one, since no remark was added.
  for name in poll epoll uring; do
    ports[$name-page]=${ports[$name]} paths[$name-page]=guestbook process[$name-page]=${process[$name]}
    compare "the page against the same server's file, 64 clients" "$name" 64 keep-alive "$name=" "$name-page=0.4"
  done
  kill "${pids[@]}"; wait "${pids[@]}" || :; pids=()
}

crowd() {
  local held=1
  ci/crowd.sh || held=0
  verdict "15,000 clients, each with a verified response, loops and pool" "$(yes_or_no "$held")" 1 "$held"
}

generator() {
  build epoll-loop load
  taskset -c 0 "$bin/bare" 127.0.0.1:18096 > /dev/null & pids+=($!)
  sleep 0.5
  local clients round with peak
  for clients in 64 15000; do
    rm -f "$work"/asks.*
    for ((round = 0; round < rounds; round++)); do
      ask_with_wrk 1 -c "$clients" -d "${seconds}s" http://127.0.0.1:18096/ > "$work/asked"
      cat "$work/asked" >> "$work/asks.wrk"
      ask_with_load 1 -c "$clients" -s "$seconds" http://127.0.0.1:18096/ >> "$work/asks.load"
    done
    echo; echo "the generators at a loop without an application, $clients clients, $rounds rounds of $seconds s"
    for with in wrk load; do
      cut -d' ' -f1 "$work/asks.$with" > "$work/rate.$with"
      peak=$(cut -d' ' -f4 "$work/asks.$with" | sort -n | tail -1)
      printf '%-24s %8.0f (%.0f to %.0f), %.0f MB at most\n' "$with" "$(median "$work/rate.$with")" \
        "$(sort -n "$work/rate.$with" | head -1)" "$(sort -n "$work/rate.$with" | tail -1)" "$peak"
    done
    local share floor; share=$(ratio "$(median "$work/rate.load")" "$(median "$work/rate.wrk")")
    floor=1.3; [ "$clients" = 64 ] || floor=1.5
    verdict "the generator against wrk, $clients clients" "$share" "$floor" "$(at_least "$share" "$floor")"
  done
  verdict "the generator's memory with 15,000 clients, MB" "$(printf %.0f "$peak")" "40 at most" "$(at_least 40 "$peak")"
  kill "${pids[-1]}"; wait "${pids[-1]}" || :; unset 'pids[-1]'
}

files() {
  local held=1
  cargo harness files --against-fio || held=0
  verdict "reads at a depth against fio, each engine (table above)" "$(yes_or_no "$held")" 0.9 "$held"
}

idle() {
  local held=1
  cargo harness idle || held=0
  verdict "user memory for an idle connection, event loops (table above)" "$(yes_or_no "$held")" "2048 bytes" "$held"
}

tests() {
  cargo fetch --quiet --locked
  for listing in listings/*/; do cold 30 -p "$(basename "$listing")"; done
  cold 360
}

# `cargo test` with these arguments, from nothing; without them of the whole workspace. A test that fails costs its row only.
cold() { # SECONDS ARGUMENTS...
  local floor=$1 began=$SECONDS compiled took held; shift
  local test=(env "CARGO_TARGET_DIR=$work/cold" cargo test --quiet --offline "$@")
  "${test[@]}" --no-run > "$work/test.log" 2>&1 || :
  compiled=$((SECONDS - began))
  if "${test[@]}" > "$work/test.log" 2>&1; then
    took=$((SECONDS - began)) held=$(at_least "$floor" "$took")
  else
    tail -30 "$work/test.log" >&2
    took=failed held=0
  fi
  verdict "cargo test${*:+ $*}, cold, s (of which $compiled to compile)" "$took" "$floor at most" "$held"
  rm -rf "$work/cold"
}

pages() {
  local held=1
  ONLY=visitStatic bash ci/browser.sh || held=0
  verdict "every page's first load at most 500 KB (we ask for 300), nothing off-site" "$(yes_or_no "$held")" "0 off-site" "$held"
}

uname -sr; echo "load average before: $(cut -d' ' -f1-3 /proc/loadavg)"
for part in "${parts[@]}"; do "$part"; done
echo; cat "$work/verdicts"
! grep -q '^MISSED' "$work/verdicts"
