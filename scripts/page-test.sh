#!/usr/bin/env bash
# page-test.sh [PICTURE.png]: runs the demo and uses its page in a headless
# Chromium; then interrupts the demo, which must end with exit code 0.
# Needs bin/hextide, web/node_modules and Chromium.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
picture=${1:+$(realpath "$1")}
folder=$(mktemp -d "${TMPDIR:-/tmp}/hextide-page-XXXXXX")
demo=
cleanup() {
  if [ -n "$demo" ]; then kill -KILL "$demo" 2>/dev/null || true; fi
  rm -rf "$folder"
}
trap cleanup EXIT

# Job control gives the demo its own process group and leaves SIGINT as it is by
# default: a background command of a plain script would ignore it.
set -m
HEXTIDE_HTTP=127.0.0.1:0 HEXTIDE_GRPC=127.0.0.1:0 bin/hextide demo >"$folder/out" 2>"$folder/err" &
demo=$!
set +m

url=
for _ in $(seq 1 300); do
  url=$(grep -aoE 'http://127\.0\.0\.1:[0-9]+' "$folder/out" | head -n 1 || true)
  [ -z "$url" ] || break
  kill -0 "$demo" 2>/dev/null || break
  sleep 0.1
done
if [ -z "$url" ]; then
  echo "the demo did not say where its page is:" >&2
  cat "$folder/out" "$folder/err" >&2
  exit 1
fi

status=0
(cd web && node test/page.mjs "$url/" ${picture:+"$picture"}) || status=$?
kill -INT "$demo"
ended=0
wait "$demo" || ended=$?
demo=
if [ "$ended" -ne 0 ]; then
  echo "the demo ended with exit code $ended" >&2
  status=1
fi
[ "$status" -eq 0 ] || tail -n 40 "$folder/err" >&2
exit "$status"
