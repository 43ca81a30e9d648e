#!/bin/bash
# The book in a real browser. Needs node, npm and Chromium (CHROMIUM, or /usr/bin/chromium); with pdftotext it also
# reads what is printed.
set -euo pipefail
cd "$(dirname "$0")/.."

chromium=${CHROMIUM:-/usr/bin/chromium}
for needed in node npm "$chromium"; do
    if ! command -v "$needed" >/dev/null; then
        echo "skipped: the browser test: $needed is not installed" >&2
        exit 0
    fi
done

servers=()
for server in iterative forking preforked threaded prethreaded select-loop poll-loop epoll-loop uring-loop executor; do
    [ ! -e "listings/$server/Cargo.toml" ] || servers+=("$server")
done
cargo build --quiet --workspace --bin book --bin chart-demo --bin harness --bin workshop "${servers[@]/#/--bin=}"
programs=$(cargo metadata --no-deps --format-version=1 | node -p 'JSON.parse(fs.readFileSync(0)).target_directory')/debug
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp ci/browser/package.json ci/browser/*.mjs "$work"
(cd "$work" && npm install --silent --no-package-lock --no-audit --no-fund)
node "$work/test.mjs" "$chromium" "$programs/book" "${servers[@]/#/$programs/}"
