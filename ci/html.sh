#!/bin/bash
# Every page is valid HTML: the Nu Html Checker, its errors and its warnings. Needs java and npm.
#
#     ci/html.sh [SITE]       a built site; without it one is built
set -euo pipefail
cd "$(dirname "$0")/.."

for needed in java npm; do
    if ! command -v "$needed" >/dev/null; then
        echo "skipped: the check of the pages' HTML: $needed is not installed" >&2
        exit 0
    fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
site=${1:-$work/site}
[ $# -gt 0 ] || cargo book build --dest "$site" >/dev/null
npm install --silent --no-package-lock --no-audit --no-fund --prefix "$work" vnu-jar@26.9.27
mapfile -t pages < <(find "$site" -name '*.html' | sort)
# What it says of a page's language, in text that is mostly code, is a guess.
check=(java -jar "$work/node_modules/vnu-jar/build/dist/vnu.jar" --no-langdetect --stdout --format gnu)
status=0
# An error fails; a warning is listed.
"${check[@]}" "${pages[@]}" >"$work/found" || status=$?
sed "s|\"file:$site/\([^\"]*\)\"|\1|" "$work/found"
echo "${#pages[@]} pages, $(grep -c ': error: ' "$work/found" || :) errors, $(grep -c 'info warning: ' "$work/found" || :) warnings"
exit "$status"
