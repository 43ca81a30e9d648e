#!/bin/bash
# The book in a real browser. Needs node, npm and Chromium (CHROMIUM, or /usr/bin/chromium).
set -euo pipefail
cd "$(dirname "$0")/.."

chromium=${CHROMIUM:-/usr/bin/chromium}
for needed in node npm "$chromium"; do
    if ! command -v "$needed" >/dev/null; then
        echo "skipped: the browser test: $needed is not installed" >&2
        exit 0
    fi
done

cargo build --quiet --package book --package iterative --bins
programs=$(cargo metadata --no-deps --format-version=1 | node -p 'JSON.parse(fs.readFileSync(0)).target_directory')/debug
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp ci/browser/package.json ci/browser/test.mjs "$work"
(cd "$work" && npm install --silent --no-package-lock --no-audit --no-fund)
node "$work/test.mjs" "$programs/book" "$programs/iterative" "$chromium"
