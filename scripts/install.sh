#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks: Debian
# packages as root or by passwordless sudo, Python packages into .cache/venv, and
# the page's packages into web/node_modules. Go is only checked. What cannot be
# installed is named, and the exit code is 1. Says nothing when all is there.
#
#   install.sh         for building and testing
#   install.sh proto   for generating the code of proto/, too
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

proto=${1:-}
lacking=()  # Debian packages
problems=() # what no package of ours heals

has() { command -v "$1" >/dev/null 2>&1; }

# has_protoc: with the messages that come with it, which Debian has in a package of its own.
has_protoc() { has protoc && [ -f "$(dirname "$(command -v protoc)")/../include/google/protobuf/descriptor.proto" ]; }

# at_least VERSION LEAST compares the leading numbers of two versions.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

java_version() { java -version 2>&1 | sed -n 's/.*version "\([0-9.]*\).*/\1/p' | head -n 1; }

check_packages() {
  lacking=()
  has gcc || lacking+=(gcc libc6-dev)
  { has java && at_least "$(java_version)" 17; } || lacking+=(default-jre-headless)
  has mvn || [ -e "${XDG_CACHE_HOME:-$HOME/.cache}/hextide/kafka-4.1.0/complete" ] || lacking+=(maven)
  has redis-server || lacking+=(redis-server)
  has "${CHROMIUM:-chromium}" || lacking+=(chromium)
  { has python3 && python3 -c 'import venv, ensurepip' 2>/dev/null; } || lacking+=(python3-venv)
  has node || lacking+=(nodejs)
  has npm || lacking+=(npm)
  has zstd || lacking+=(zstd)
  has flock || lacking+=(util-linux)
  [ "$proto" != proto ] || has_protoc || lacking+=(protobuf-compiler libprotobuf-dev)
}

check_go() {
  local version
  if ! has go; then
    problems+=("Go 1.26 or newer (https://go.dev/dl), which is not in PATH")
    return
  fi
  version=$(GOTOOLCHAIN=local go env GOVERSION)
  at_least "${version#go}" 1.26 || problems+=("Go 1.26 or newer (https://go.dev/dl); here is ${version#go}")
}

install_packages() {
  local as=()
  [ ${#lacking[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then as=(sudo -n); fi
  if ! has apt-get || ! { [ "$(id -u)" -eq 0 ] || { has sudo && sudo -n true 2>/dev/null; }; }; then
    problems+=("these packages (Debian's names): ${lacking[*]}")
    return
  fi
  echo "installing ${lacking[*]}"
  if ! "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq ||
    ! "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${lacking[@]}" >/dev/null; then
    problems+=("these packages, which apt-get could not install: ${lacking[*]}")
    return
  fi
  hash -r
  check_packages
  [ ${#lacking[@]} -eq 0 ] || problems+=("these packages, which apt-get did not bring in a version that serves: ${lacking[*]}")
}

# install_python makes the environment anew when its list has changed, so that
# nothing stays that the list no longer names.
install_python() {
  local list=notebooks/requirements.txt venv=.cache/venv
  [ -x "$venv/bin/python" ] && cmp -s "$list" "$venv/requirements.txt" && return
  echo "installing the notebook's Python packages into $venv"
  rm -rf "$venv"
  if python3 -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check -r "$list"; then
    cp "$list" "$venv/requirements.txt"
  else
    problems+=("the Python packages of $list, which pip could not install into $venv")
  fi
}

install_page() {
  [ web/node_modules/.package-lock.json -nt web/package-lock.json ] && return
  echo "installing the page's packages into web/node_modules"
  if ! (cd web && npm ci --no-audit --no-fund --loglevel=error); then
    problems+=("the packages of web/package-lock.json, which npm could not install")
    return
  fi
  touch web/node_modules/.package-lock.json
}

report() {
  [ ${#problems[@]} -gt 0 ] || return 0
  echo "hextide's tests need what is missing here:" >&2
  printf '  %s\n' "${problems[@]}" >&2
  exit 1
}

check_packages
check_go
install_packages
report
install_python
install_page
report
