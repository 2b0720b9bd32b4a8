#!/usr/bin/env bash
# Generates the Go code of proto/.
#
#   proto.sh           into the tree
#   proto.sh --check   beside it, and fails where the tree has other code
#
# Needs protoc and .cache/venv (install.sh proto); the plugins are built into
# .cache/bin.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
module=github.com/hextide/hextide
command -v protoc >/dev/null || { echo "protoc is needed; Debian's packages are protobuf-compiler and libprotobuf-dev" >&2; exit 1; }

export GOBIN=$PWD/.cache/bin
go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
go install github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway@v2.30.0
# google/api/annotations.proto, as a Python package carries it
[ -d .cache/protos/google/api ] ||
  .cache/venv/bin/pip install -q --disable-pip-version-check --no-deps --target .cache/protos googleapis-common-protos==1.70.0

generate() { # generate FOLDER
  PATH=$GOBIN:$PATH protoc -I proto -I .cache/protos \
    "--go_out=$1" "--go_opt=module=$module" \
    "--go-grpc_out=$1" "--go-grpc_opt=module=$module" \
    "--grpc-gateway_out=$1" "--grpc-gateway_opt=module=$module" \
    proto/hextide/v1/*.proto
}

case ${1:-} in
  '') generate . ;;
  --check)
    fresh=$(mktemp -d "${TMPDIR:-/tmp}/hextide-proto-XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    generate "$fresh"
    # The code names the protoc that made it, which may be another here.
    diff -r -x '*.proto' -I '^// .*protoc  *v' proto "$fresh/proto" ||
      { echo 'the code of proto/ is not what its .proto files give: run "make proto" and commit the result' >&2; exit 1; }
    echo "the code of proto/ matches its source"
    ;;
  *) echo "usage: $0 [--check]" >&2; exit 2 ;;
esac
