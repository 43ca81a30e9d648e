#!/usr/bin/env bash
# The book as a PDF, made from its print page: target/who-waits.pdf, or the file that is named. Needs Chromium (CHROMIUM, or
# /usr/bin/chromium); with pdftotext it also looks whether every chapter is in it.
set -euo pipefail
cd "$(dirname "$0")/.."
chromium=${CHROMIUM:-/usr/bin/chromium}
for needed in "$chromium"; do
  command -v "$needed" >/dev/null || { echo "skipped: the PDF: $needed is not installed" >&2; exit 0; }
done
out=${1:-target/who-waits.pdf}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo run --quiet --bin book -- build --dest "$work/site"
# Diagrams are drawn by a script, so it is given time; of its own, which does not depend on this machine.
"$chromium" --headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --no-first-run \
  --user-data-dir="$work/profile" --virtual-time-budget=60000 --no-pdf-header-footer --print-to-pdf="$work/book.pdf" \
  "file://$work/site/print.html" 2> "$work/said" || { tail -5 "$work/said" >&2; exit 1; }
mv "$work/book.pdf" "$out"
if command -v pdftotext >/dev/null; then
  # Lines are broken where the sheet ends, so words are compared without what is between them.
  squeezed() { tr -d '[:space:]\255-' ; }
  pdftotext -raw "$out" - | squeezed > "$work/text"
  missing=0
  while read -r title; do
    grep -qF "$(printf %s "$title" | squeezed)" "$work/text" || { echo "$out has no chapter: $title" >&2; missing=1; }
  done < <(sed -nE 's/^[ -]*\[([^]]+)\]\([^)]+\)$/\1/p' src/SUMMARY.md)
  [ "$missing" = 0 ] || exit 1
fi
echo "ok: $out, $(pdfinfo "$out" | sed -n 's/^Pages: *//p') pages, $(($(stat -c %s "$out") >> 20)) MiB"
