#!/usr/bin/env bash
# The FTP server under the clients that people use: curl, lftp, and Python's ftplib with 200 clients at once. What arrives is
# compared byte by byte, whole and resumed. Needs curl, lftp and python3.
#
#     ci/ftp.sh                 both drivers
#     ci/ftp.sh measure ROUNDS  a download of 512 MiB by curl, from memory: both drivers, and vsftpd if it is installed
set -euo pipefail
cd "$(dirname "$0")/.."
for program in curl lftp python3; do
  command -v "$program" >/dev/null || { echo "ftp.sh needs $program: .ci/run installs it" >&2; exit 2; }
done
profile=release
[ "${1:-}" != measure ] || profile=production
cargo build --quiet --profile "$profile" -p ftp
bin=${CARGO_TARGET_DIR:-target}/$profile
. ci/serving.sh
mkdir -p "$work/root/in" "$work/root/sub/deep"
printf 'with a space\n' > "$work/root/sub/a b"
: > "$work/root/empty"
printf 'the canary\n' > "$work/secret"
mkdir "$work/flat"
for number in 1 2 3 4 5 6; do head -c "$((number * number * 100000))" /dev/urandom > "$work/flat/file $number"; done

if [ "${1:-}" = measure ]; then
  head -c $((512 << 20)) /dev/zero > "$work/root/big"
  python3 ci/ftp.py measure "${2:-5}" "$bin/ftp" "$work/root"
  exit
fi

with_curl() {
  curl -sf "$url/" | grep -q ' big'
  curl -sf "$url/big" | cmp - "$work/root/big"
  curl -sf --disable-epsv "$url/sub/a%20b" | cmp - "$work/root/sub/a b"
  curl -sf -r 1000-1999 "$url/big" | cmp - <(tail -c +1001 "$work/root/big" | head -c 1000)
  head -c 12345678 "$work/root/big" > "$work/part"
  curl -sf -C - -o "$work/part" "$url/big"; cmp "$work/part" "$work/root/big"
  curl -sf -T "$work/root/big" "$url/in/whole"; cmp "$work/root/in/whole" "$work/root/big"
  head -c 23456789 "$work/root/big" > "$work/root/in/part"
  curl -sf -C - -T "$work/root/big" "$url/in/part"; cmp "$work/root/in/part" "$work/root/big"
  curl -sf -T "$work/root/empty" "$url/in/empty"; [ ! -s "$work/root/in/empty" ]
  for path in ../secret %2e%2e/secret sub/../../secret //..//secret; do
    if curl -sf --path-as-is "$url/$path" | grep canary; then echo "$path got out" >&2; exit 1; fi
  done
  if curl -sf -T "$work/secret" "$url/stored"; then echo "stored outside the upload folder" >&2; exit 1; fi
  echo "  curl: whole, in part, resumed both ways, and nothing outside"
}

with_lftp() {
  rm -rf "$work/mirror"; mkdir "$work/mirror"
  head -c 3456789 "$work/root/big" > "$work/cut"
  printf 'set ftp:ssl-allow no\nset net:max-retries 2\nset cmd:fail-exit yes\nopen -u anonymous,x ftp://%s\nmirror --parallel=4 / %s\nmirror -R --parallel=4 %s /in\nput -c %s -o /in/cut\nget -c /big -o %s\ncls /in\n' \
    "${url#*://}" "$work/mirror/all" "$work/flat" "$work/cut" "$work/cut" > "$work/script"
  timeout 120 lftp -f "$work/script" > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  cmp "$work/mirror/all/big" "$work/root/big"
  cmp "$work/mirror/all/sub/a b" "$work/root/sub/a b"
  cmp "$work/cut" "$work/root/big"
  for file in "$work"/flat/*; do cmp "$file" "$work/root/in/${file##*/}"; done
  cmp "$work/root/in/cut" <(head -c 3456789 "$work/root/big")
  echo "  lftp: a tree mirrored, four files at a time, and a transfer gone on with"
}

for over in epoll io_uring; do
  echo "over $over:"
  rm -rf "$work/root/in"; mkdir "$work/root/in"
  head -c 40000000 /dev/urandom > "$work/root/big"
  serve "$bin/ftp" --listen 127.0.0.1:0 --root "$work/root" --uploads in --over "$over"
  with_curl
  with_lftp
  address=${url#*://}; python3 ci/ftp.py check "${address%:*}" "${address##*:}" "$work/root"
  stop
done
