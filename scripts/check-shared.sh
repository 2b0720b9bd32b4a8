#!/usr/bin/env bash
# check-shared.sh FOLDER: holds hextide against a folder of more data than the
# repository carries: data/ (five days of taxi pings, 20 days and five months of
# pickups), golden/checksums.json, checks/snapshot.py, vectors/.
# Needs bin/hextide and .cache/venv (scripts/install.sh).
set -euo pipefail
shared=$(cd "${1:?usage: check-shared.sh FOLDER}" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$PWD/.cache/venv/bin/python
taxis=$shared/data/sf-taxi-2008-05-18_22.csv.gz
six_hours=(--from 2008-05-21T00:00:00Z --to 2008-05-21T06:00:00Z)
work=$(mktemp -d "${TMPDIR:-/tmp}/hextide-shared-XXXXXX")
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
  echo "FAIL $*"
  failures=$((failures + 1))
}

backfill() { # backfill NAME JOB INPUT ARGUMENTS...: into $work/NAME
  local out=$work/$1 job=$2 input=$3
  shift 3
  bin/hextide backfill "examples/checks/$job.yaml" --progress=false --input "$input" --out "$out" "$@" >"$out.log" 2>&1 ||
    { cat "$out.log"; fail "backfill of $job $*"; }
}

content_hash() { "$python" -c 'import json, sys; print(json.load(open(sys.argv[1] + "/_MANIFEST.json"))["content_hash"])' "$1"; }

golden() { # golden NAME JOB ARGUMENTS...
  backfill "$1" "$1" "$taxis" "${@:3}"
  "$python" "$shared/checks/snapshot.py" "$work/$1" "$shared/golden/checksums.json" "$2" || fail "$2 is not exact"
}

same_hash() { # same_hash ARGUMENTS...: J1 under other arguments
  local hash
  backfill again j1 "$taxis" "$@"
  hash=$(content_hash "$work/again" || echo none)
  rm -rf "$work/again"
  if [ "$hash" = "$reference" ]; then echo "J1 $*: $hash"; else fail "J1 $*: $hash, not $reference"; fi
}

golden j1 J1
golden j2 J2
rm -rf "$work/j2"
golden j3 J3 "${six_hours[@]}"
rm -rf "$work/j3"

reference=$(content_hash "$work/j1" || echo none)
for workers in 1 2 8; do same_hash --workers "$workers"; done
for batch in 100 10000; do same_hash --batch "$batch"; done
rm -rf "$work/j1"

# All that a definition can hold at once, features and a model among it.
backfill taxi ../sf-taxi "$taxis" --no-files
everything=$(content_hash "$work/taxi" || echo none)
backfill taxi1 ../sf-taxi "$taxis" --no-files --workers 1 --batch 1000
[ "$everything" != none ] && [ "$everything" = "$(content_hash "$work/taxi1")" ] && echo "sf-taxi: $everything" ||
  fail "sf-taxi.yaml gives $everything, and another hash with one worker"

backfill sf demand-sf "$shared/data/sf-pickups-2008-05-17_06-05.csv.gz"
backfill nyc demand-nyc "$shared/data/nyc-uber-b02512-2014-04_08.csv.gz"
"$python" scripts/accuracy.py "sf=$work/sf" "nyc=$work/nyc" || fail "the accuracy of the demand model"

HEXTIDE_SHARED=$shared go test -count=1 ./models/... || fail "the models' reference vectors"

[ "$failures" -eq 0 ] || { echo "$failures checks failed"; exit 1; }
echo "all checks over $shared hold"
