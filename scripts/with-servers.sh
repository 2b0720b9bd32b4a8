#!/usr/bin/env bash
# with-servers.sh COMMAND ARGUMENTS...: runs a command beside one real Kafka and
# one real Redis, whose addresses it finds in HEXTIDE_TEST_KAFKA and
# HEXTIDE_TEST_REDIS. They end with this script, however it ends: each holds the
# other end of a pipe and goes when that closes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(mktemp -d "${TMPDIR:-/tmp}/hextide-servers-XXXXXX")
trap 'rmdir "$folder" 2>/dev/null || true' EXIT

start() { # start NAME: a server in its own session, away from the terminal's Ctrl-C
  mkfifo "$folder/$1.in" "$folder/$1.out"
  setsid "$here/$1.sh" hold "$folder/$1" <"$folder/$1.in" >"$folder/$1.out" &
}

start kafka
start redis
# Opened here and closed with this process; children do not inherit them.
exec {kafka}>"$folder/kafka.in" {redis}>"$folder/redis.in"
read -r HEXTIDE_TEST_KAFKA <"$folder/kafka.out"
read -r HEXTIDE_TEST_REDIS <"$folder/redis.out"
rm -f "$folder"/*.in "$folder"/*.out
export HEXTIDE_TEST_KAFKA HEXTIDE_TEST_REDIS

status=0
"$@" {kafka}>&- {redis}>&- || status=$?
exec {kafka}>&- {redis}>&-
wait
exit "$status"
