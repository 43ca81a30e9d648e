#!/usr/bin/env bash
# The static site builds, its links lead somewhere, and nothing that it needs is on another host.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo book build --dest "$work/site"
python3 ci/links.py "$work/site"
