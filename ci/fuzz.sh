#!/usr/bin/env bash
# Fuzzing: http1 with the guestbook behind it, FTP's sessions, the store's replies, the store's requests. What is checked is in ci/fuzz; an
# input is a script of text (ci/fuzz/src/script.rs). Ends with 1 if anything was found, and says how to see it again.
#
#     ci/fuzz.sh [SECONDS]           all targets side by side, so many seconds each (20)
#     ci/fuzz.sh 3600                the long form: what it learns is kept in target/fuzz and used the next time
#     ci/fuzz.sh fixed               the planted fault, then the same 400,000 scripts each time (for .ci/run): no guidance, and no luck
#     ci/fuzz.sh build               compiles, and no more
#     ci/fuzz.sh replay TARGET FILE  one script again, with the message of what does not hold
#
# The engine is LLVM's libFuzzer, which the crate libfuzzer-sys builds: the stable compiler can instrument for it, and it
# runs within the process, with no fork for an input. AFL++ from Debian is built with another LLVM than rustc's, and
# cargo-fuzz asks for a nightly compiler. No sanitizer: these crates forbid unsafe code, so that a panic is all there is to
# find, and the engine is built with overflow checks.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v c++ >/dev/null || { echo "fuzz.sh needs c++, which builds libFuzzer: .ci/run installs it" >&2; exit 2; }
targets=(http1 ftp store-pipe store-requests)
home=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
triple=$(rustc -vV | sed -n 's/^host: //p')
bin=$home/build/$triple/release

build_fixed() {
  CARGO_TARGET_DIR=$home/fixed CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true \
    cargo build --quiet --release -p fuzz --bin fixed
}
build() { # FLAGS...: the engine, instrumented; with a --target, so that build scripts and libFuzzer itself are not
  CARGO_TARGET_DIR=$home/build RUSTFLAGS="--cfg fuzzing $*" \
    cargo build --quiet --release --target "$triple" --manifest-path ci/fuzz/engine/Cargo.toml
}
counters=(-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares)

case ${1:-20} in
build) build "${counters[@]}"; build_fixed; exit ;;
replay)
  [ $# = 3 ] || { echo "usage: ci/fuzz.sh replay TARGET FILE" >&2; exit 2; }
  build "${counters[@]}"
  exec "$bin/$2" "$3"
  ;;
fixed) ;;
*[!0-9]* | '') echo "usage: ci/fuzz.sh [SECONDS] | fixed | build | replay TARGET FILE" >&2; exit 2 ;;
esac
seconds=${1:-20}
build "${counters[@]}"

run() { # TARGET SECONDS SEEDS...
  local target=$1 seconds=$2; shift 2
  mkdir -p "$home/learned/$target" "$home/found/$target"
  "$bin/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=2048 -print_final_stats=1 \
    -artifact_prefix="$home/found/$target/" "$home/learned/$target" "$@" > "$home/$target.log" 2>&1
}

# A fuzzer that finds nothing where there is something says nothing about the rest.
rm -rf "$home"/{learned,found}/planted
if run planted 60; then echo "fuzz.sh: the planted fault was not found: the fuzzer does not work" >&2; exit 1; fi
grep -q 'lines' "$home/planted.log" || { cat "$home/planted.log" >&2; exit 1; }
echo "planted: found after $(sed -n 's/^stat::number_of_executed_units: *//p; s/^#\([0-9]*\).*/\1/p' "$home/planted.log" | tail -1) runs"

pids=()
cleanup() { kill "${pids[@]}" 2>/dev/null || :; }
trap cleanup EXIT
found=0

# libFuzzer's inputs depend on hash seeds, times and addresses, whatever its own seed: what it finds by luck is not a change's fault.
if [ "$seconds" = fixed ]; then
  build_fixed
  for target in "${targets[@]}"; do
    mkdir -p "$home/found/$target"
    "$home/fixed/release/fixed" "$target" 400000 "$home/found/$target/fixed" & pids+=($!)
  done
  for i in "${!targets[@]}"; do
    wait "${pids[i]}" || { found=1; echo "see it again with: ci/fuzz.sh replay ${targets[i]} $home/found/${targets[i]}/fixed" >&2; }
  done
  exit $found
fi

for target in "${targets[@]}"; do
  run "$target" "$seconds" "ci/fuzz/seeds/$target" -dict="ci/fuzz/words/$target.dict" & pids+=($!)
done
for i in "${!targets[@]}"; do
  target=${targets[i]} log=$home/${targets[i]}.log
  if wait "${pids[i]}"; then
    echo "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs, $(sed -n 's/^stat::average_exec_per_sec: *//p' \
      "$log") a second, nothing found"
  else
    found=1
    file=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
    { sed -n '/panicked at/,/^stack backtrace:/p' "$log" | sed '$d' | head -20
      grep -m1 '^SUMMARY' "$log" || tail -20 "$log"
      [ -z "$file" ] || { echo "--- the script:"; cat -A "$file"; echo; }
      echo "$target: found; see it again with: ci/fuzz.sh replay $target ${file:-(no file was written)}"; } >&2
  fi
done
exit $found
