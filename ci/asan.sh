#!/usr/bin/env bash
# Memory that a ring was lent: the tests of uring-read and uring-loop under AddressSanitizer, which leave a ring at each step with operations
# in flight. It fails on any report, on a leak as well: a ring that is dropped gives everything back. Needs x86-64 Linux and gcc;
# no network.
#
#     ci/asan.sh [TEST...]           words for the names of the tests (all)
#     ci/asan.sh build               compiles, and no more
#
# What it sees: every access of the code that is compiled here and of generic code of the standard library, and memory that nobody
# can reach at the end. What it does not see: the kernel, which writes into a buffer by an address of its own. A buffer that is freed
# while a read is in flight shows in the tests themselves: they write into the pipe after the drop, and nobody may be reading it.
set -euo pipefail
cd "$(dirname "$0")/.."
triple=$(rustc -vV | sed -n 's/^host: //p')
[ "$triple" = x86_64-unknown-linux-gnu ] || { echo "asan.sh was tried on x86-64 Linux only, this is $triple" >&2; exit 2; }
command -v gcc >/dev/null || { echo "asan.sh needs gcc" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# RUSTC_BOOTSTRAP: the stable compiler, which has the sanitizer's runtime, takes the flag for it.
export RUSTC_BOOTSTRAP=1
export ASAN_OPTIONS="detect_leaks=1 exitcode=66 abort_on_error=0"

# A sanitizer that is silent where there is a fault says nothing.
cat > "$work/planted.rs" <<'RUST'
fn main() {
    let which = std::env::args().nth(1).unwrap_or_default();
    let buffer = vec![1_u8; 64];
    let address = std::hint::black_box(buffer.as_ptr() as usize);
    if which == "freed" {
        drop(buffer);
        // SAFETY: none. It is the fault that is to be found.
        let byte = unsafe { std::ptr::read_volatile(address as *const u8) };
        println!("{byte}");
    } else if which == "leaked" {
        std::mem::forget(buffer);
    }
}
RUST
rustc --edition 2024 --target "$triple" -Zsanitizer=address "$work/planted.rs" -o "$work/planted"
for fault in freed leaked; do
  code=0; "$work/planted" $fault > /dev/null 2> "$work/said" || code=$?
  [ $code = 66 ] || { cat "$work/said" >&2; echo "asan.sh: the planted fault '$fault' was not reported (exit $code)" >&2; exit 1; }
done
"$work/planted" none || { echo "asan.sh: a fault is reported where there is none" >&2; exit 1; }
echo "planted faults are reported"

# --target: so that what runs while it builds is not sanitized.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/asan RUSTFLAGS=-Zsanitizer=address
read_tests=(cargo test --quiet --target "$triple" -p uring-read --lib --test in_flight --test reads --test experiments)
loop_tests=(cargo test --quiet --target "$triple" -p uring-loop --lib --test drop)
if [ "${1:-}" = build ]; then
  "${read_tests[@]}" --no-run
  exec "${loop_tests[@]}" --no-run
fi
"${read_tests[@]}" -- "$@"
# One of its rings is made to fail for good, and keeps what it was lent: a leak that is meant.
ASAN_OPTIONS="detect_leaks=0 exitcode=66 abort_on_error=0" "${loop_tests[@]}" -- "$@"
echo "nothing was used after it was freed, nothing was leaked"
