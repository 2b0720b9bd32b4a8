#!/usr/bin/env bash
# Generates the Go code of proto/. Needs protoc (Debian: protobuf-compiler) and
# .cache/venv; the plugins are built into .cache/bin.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
module=github.com/hextide/hextide
if ! command -v protoc >/dev/null; then
  echo "protoc is needed; Debian's package is protobuf-compiler" >&2
  exit 1
fi
export GOBIN=$PWD/.cache/bin
go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
go install github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway@v2.30.0
# google/api/annotations.proto, as a Python package carries it
[ -d .cache/protos/google/api ] ||
  .cache/venv/bin/pip install -q --disable-pip-version-check --no-deps --target .cache/protos googleapis-common-protos==1.70.0
PATH=$GOBIN:$PATH protoc -I proto -I .cache/protos \
  --go_out=. "--go_opt=module=$module" \
  --go-grpc_out=. "--go-grpc_opt=module=$module" \
  --grpc-gateway_out=. "--grpc-gateway_opt=module=$module" \
  proto/hextide/v1/*.proto
