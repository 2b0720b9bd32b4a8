#!/usr/bin/env bash
# A real Redis for tests, on loopback. Several run side by side, a folder each.
#
#   redis.sh start [FOLDER]    starts it unless it runs; prints its address
#   redis.sh stop [FOLDER]     ends it in good order; the port stays
#   redis.sh kill [FOLDER]     ends it with SIGKILL; the port stays
#   redis.sh wipe [FOLDER]     ends it and removes the folder
#   redis.sh hold [FOLDER]     starts it, and wipes it when standard input ends
#   redis.sh status [FOLDER]   pid, resident memory, address
#
# FOLDER may come in REDIS_DIR; by default it is hextide-redis-UID where
# temporary files go. The port is a free one unless REDIS_PORT gives it. Nothing
# is kept on disk, unless REDIS_KEEP=1: then every write is, and outlives kill.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=redis
dir=${2:-${REDIS_DIR:-${TMPDIR:-/tmp}/hextide-redis-$(id -u)}}
port=${REDIS_PORT:-}
# shellcheck source=scripts/server.sh
. "$here/server.sh"

prepare() { command -v redis-server >/dev/null || fail "redis-server is needed"; }

launch() {
  local keep=no
  if [ "${REDIS_KEEP:-}" = 1 ]; then keep=yes; fi
  cat >"$dir/redis.conf" <<EOF
bind 127.0.0.1
port $(cat "$dir/port")
dir $dir
save ""
appendonly $keep
appendfsync always
daemonize no
EOF
  # The server shows its address in place of its arguments; set-proc-title
  # keeps the folder visible, by which alive knows it.
  setsid redis-server "$dir/redis.conf" --set-proc-title no >"$dir/log" 2>&1 </dev/null 9<&- &
  pid=$!
}

ready() {
  local answer
  (
    exec 3<>"/dev/tcp/127.0.0.1/$(cat "$dir/port")"
    printf 'PING\r\n' >&3
    read -r -t 5 answer <&3
    [ "${answer%$'\r'}" = +PONG ]
  ) 2>/dev/null
}

command_line "${1:-start}"
