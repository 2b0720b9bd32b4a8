#!/usr/bin/env bash
# Runs the notebook over a snapshot of the bundled pickups; fails where a cell
# of it fails. Needs bin/hextide and .cache/venv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$(mktemp -d "${TMPDIR:-/tmp}/hextide-notebook-XXXXXX")
trap 'rm -rf "$folder"' EXIT
bin/hextide backfill examples/checks/demand-sf.yaml --progress=false \
  --input examples/data/sf-pickups-2008-05-17_24.csv.gz --out "$folder/snapshot"
# Jupyter's and matplotlib's own files go where the rest goes.
export HEXTIDE_SNAPSHOT=$folder/snapshot IPYTHONDIR=$folder/ipython JUPYTER_RUNTIME_DIR=$folder/jupyter MPLCONFIGDIR=$folder/matplotlib
export PATH=$PWD/.cache/venv/bin:$PATH
.cache/venv/bin/python notebooks/run.py notebooks/snapshot.ipynb "$@"
