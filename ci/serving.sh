# To be sourced by a script that starts servers: a folder of its own, and that nothing is left of either.

work=$(mktemp -d)
pids=()
cleanup() { kill "${pids[@]}" 2>/dev/null || :; wait "${pids[@]}" 2>/dev/null || :; rm -rf "$work"; }
trap cleanup EXIT

serve() { # COMMAND...: starts a server, the last of pids, and sets url to what it says it listens on
  : > "$work/out" # here: what runs in the background may be later than the first look at what the last one has said
  "$@" > "$work/out" & pids+=($!)
  for _ in $(seq 200); do
    url=$(sed -n 's/^listening on //p' "$work/out"); [ -n "$url" ] && return
    sleep 0.1
  done
  echo "it did not start: $*" >&2; return 1
}

stop() { # the last one: SIGTERM, and it must end with 0
  local pid=${pids[-1]}; unset 'pids[-1]'
  kill -TERM "$pid"; wait "$pid"
}
