#!/usr/bin/env bash
# Exports the state of a backfill that was killed, and reads it with DuckDB and
# pandas: types, and counts against those that DuckDB makes of the input.
# Needs bin/hextide and .cache/venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$(mktemp -d "${TMPDIR:-/tmp}/hextide-state-XXXXXX")
trap 'rm -rf "$folder"' EXIT
# Two hours of taxis, four times in a row: long enough for some checkpoints.
gzip -dc examples/data/sf-taxi-2008-05-21T00-02Z.csv.gz |
  awk -F, -v OFS=, 'NR == 1 { print; next } { line[NR] = $0 } END {
    for (i = 0; i < 4; i++) for (n = 2; n <= NR; n++) { $0 = line[n]; $1 += 7200 * i; print }
  }' >"$folder/pings.csv"
for life in $(seq 1 20); do # one may have ended before its third checkpoint
  rm -rf "$folder/snapshot"
  code=0
  { HEXTIDE_TEST_CRASH=checkpoint:after-commit/3 bin/hextide backfill examples/sf-taxi.yaml --progress=false --input "$folder/pings.csv" \
    --out "$folder/snapshot" --checkpoint-interval 10ms --checkpoint-min-pause 1ms --batch 100; } >"$folder/log" 2>&1 || code=$?
  [ "$code" -ne 137 ] || break
  [ "$life" -lt 20 ] || { cat "$folder/log"; echo "never killed"; exit 1; }
done
bin/hextide state export examples/sf-taxi.yaml --state "$folder/snapshot/_state" --out "$folder/export"
PATH=$PWD/.cache/venv/bin:$PATH python scripts/state_check.py "$folder/export" "$folder/pings.csv"
