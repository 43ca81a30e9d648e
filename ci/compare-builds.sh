#!/bin/bash
# Builds the book with `cargo book build` and with a stock mdbook, and compares every file of the two sites.
#
# They are the same but for two things. `cargo book` adds mermaid.min.js, and a script element that loads it to each page
# with a diagram; where a stock mdbook builds, the diagram's text stands on the page. And the search index is written in
# another order, since the mdbook program is built with other versions of what writes it.
# Needs mdbook and mdbook-mermaid on the PATH, of the versions in Cargo.lock; the book's other preprocessors are ci/aids, which
# mdbook starts by way of cargo.
set -euo pipefail
cd "$(dirname "$0")/.."

for needed in mdbook mdbook-mermaid; do
    if ! command -v "$needed" >/dev/null; then
        echo "skipped: comparing the builds: $needed is not installed" >&2
        exit 0
    fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo run --quiet --bin book -- build --dest "$work/own" >/dev/null
mdbook build --dest-dir "$work/stock" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }

if grep -rqs '<pre class="mermaid">' "$work/stock" --include='*.html'; then
    rm "$work/own/mermaid.min.js"
    find "$work/own" -name '*.html' -exec sed -i '/^ *<script defer src="[./]*mermaid\.min\.js"><\/script>$/d' {} +
fi
for site in own stock; do
    rm "$work/$site"/searchindex-*.js
    find "$work/$site" -name '*.html' -o -name 'searcher-*.js' | xargs sed -i -E 's/searchindex-[0-9a-f]{8}/searchindex/'
done
diff --recursive --unified=0 "$work/stock" "$work/own" | cut -c1-160 | head -n 60
echo "ok: $(find "$work/stock" -name '*.html' | wc -l) pages, the same from cargo book build and from $(mdbook --version)"
