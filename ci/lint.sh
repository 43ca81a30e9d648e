#!/usr/bin/env bash
# Format, lints, and that no script is broken.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo fmt --all --check
cargo clippy --quiet --workspace --all-targets -- --deny warnings
for script in .ci/run ci/*.sh; do bash -n "$script"; done
echo "ok: format and lints"
