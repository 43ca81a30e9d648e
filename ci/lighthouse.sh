#!/usr/bin/env bash
# What Lighthouse says of pages of the static site: by hand, on a quiet machine, since one of its marks is for speed.
# Ends with 1 if performance or accessibility of one of them is below 95. Needs npm, python3 and Chromium (CHROMIUM).
#
#     ci/lighthouse.sh [PAGE...]        poll.html workshop.html, if none is named
set -euo pipefail
cd "$(dirname "$0")/.."
chromium=${CHROMIUM:-/usr/bin/chromium}
for needed in npm python3 "$chromium"; do
  command -v "$needed" >/dev/null || { echo "lighthouse.sh needs $needed: install it with your package manager" >&2; exit 2; }
done
pages=("$@"); [ $# -gt 0 ] || pages=(poll.html workshop.html)
work=$(mktemp -d)
server=
cleanup() { [ -z "$server" ] || kill "$server" 2>/dev/null || :; rm -rf "$work"; }
trap cleanup EXIT
cargo run --quiet --bin book -- build --dest "$work/site" > "$work/built"
(cd "$work" && npm install --silent --no-audit --no-fund lighthouse@12)
# It chooses a port, and says which.
python3 -u -m http.server 0 --bind 127.0.0.1 --directory "$work/site" > "$work/said" 2>&1 & server=$!
for _ in $(seq 50); do grep -q port "$work/said" && break; sleep 0.1; done
port=$(sed -nE 's/.* port ([0-9]+) .*/\1/p' "$work/said" | head -1)
export CHROME_PATH=$chromium
low=0
for page in "${pages[@]}"; do
  (cd "$work" && npx lighthouse "http://127.0.0.1:$port/$page" --quiet --chrome-flags="--headless --no-sandbox --disable-gpu" \
    --output=json --output-path="$work/report.json")
  python3 - "$page" "$work/report.json" <<'PYTHON' || low=1
import json, sys
page, report = sys.argv[1:]
marks = {name: round(100 * part["score"]) for name, part in json.load(open(report))["categories"].items()}
print(page + ": " + ", ".join(f"{name} {mark}" for name, mark in marks.items()))
sys.exit(min(marks["performance"], marks["accessibility"]) < 95)
PYTHON
done
exit "$low"
