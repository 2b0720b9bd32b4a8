# What kafka.sh and redis.sh share; sourced, never run. The sourcing script sets
#   name      what the server is called in messages
#   dir       the folder that holds everything of one server: data, log, pid, port
#   port      the port asked for, or empty for a free one
# and defines
#   prepare   whatever goes before a launch
#   launch    starts the server in the background and sets $pid
#   ready     succeeds once the server with the ports in use answers

address() { echo "127.0.0.1:$(cat "$dir/port")"; }

fail() {
  echo "$name: $*" >&2
  exit 1
}

# free_port prints a port that nothing listens on, below the range from which
# Linux takes the ports of outgoing connections (32768 and up).
free_port() {
  local p
  while :; do
    p=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p"; return; }
  done
}

# alive also asks whether the pid is still this server's: after a reboot the
# number may be another's.
alive() {
  [ -s "$dir/pid" ] && kill -0 "$(cat "$dir/pid")" 2>/dev/null &&
    tr '\0' ' ' <"/proc/$(cat "$dir/pid")/cmdline" 2>/dev/null | grep -qF "$dir"
}

# locked runs a function while no other command works on the same folder. The
# lock is on the folder itself, so that nothing is left when it goes.
locked() {
  [ -d "$dir" ] || return 0
  exec 9<"$dir"
  flock 9
  [ -d "$dir" ] || return 0 # wiped while waiting
  "$@"
  exec 9<&-
}

# wait_ready fails when the server ends before it answers, or has not after a
# minute. It asks for the pid alone: until the exec the command line is ours.
wait_ready() {
  local _
  for _ in $(seq 1 600); do
    kill -0 "$pid" 2>/dev/null || return 1
    if ready; then return 0; fi
    sleep 0.1
  done
  return 1
}

# start_once tries one choice of ports.
start_once() {
  launch
  echo "$pid" >"$dir/pid"
  disown "$pid" # or the shell that is left with it reports its end
  wait_ready
}

start_locked() {
  if alive; then return 0; fi
  local attempt
  for attempt in 1 2 3 4 5; do
    if [ -n "$port" ]; then
      echo "$port" >"$dir/port"
    elif [ ! -s "$dir/port" ]; then
      free_port >"$dir/port"
    fi
    prepare
    if start_once; then return 0; fi
    end TERM
    # Another took the port between the look and the launch: choose again, but
    # only for a server that never ran, since clients know the port of one that did.
    if [ -n "$port" ] || [ -e "$dir/ran" ] || ! grep -qi 'address already in use' "$dir/log"; then
      break
    fi
    rm -f "$dir/port"
  done
  tail -n 20 "$dir/log" >&2
  fail "did not start; its log is $dir/log"
}

start() {
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd -P)
  locked start_locked
  touch "$dir/ran"
  address
}

# end sends a signal and waits until the process has gone, by SIGKILL after 20 s.
end() {
  local p _
  if alive; then
    p=$(cat "$dir/pid")
    kill "-$1" "$p" 2>/dev/null || true
    for _ in $(seq 1 400); do
      kill -0 "$p" 2>/dev/null || break
      [ "$_" -eq 200 ] && { kill -KILL "$p" 2>/dev/null || true; }
      sleep 0.05
    done
  fi
  rm -f "$dir/pid"
}

wipe_locked() {
  end KILL
  rm -rf "$dir"
}

# hold keeps a server for as long as standard input stays open: when whoever
# holds the other end closes it or dies, however that happens, the server and
# all it wrote are gone.
hold() {
  trap '' INT
  trap 'wipe' EXIT
  trap 'exit 1' TERM HUP
  start
  exec >/dev/null # whoever reads the address may now wait for the end of output
  cat >/dev/null
}

wipe() { locked wipe_locked; }

status() {
  alive || { echo "not running"; exit 1; }
  echo "pid $(cat "$dir/pid") rss_kb $(awk '/VmRSS/ {print $2}' "/proc/$(cat "$dir/pid")/status") $(address)"
}

command_line() {
  [ ! -d "$dir" ] || dir=$(cd "$dir" && pwd -P)
  case $1 in
    start) start ;;
    stop) locked end TERM ;;
    kill) locked end KILL ;;
    wipe) wipe ;;
    hold) hold ;;
    status) status ;;
    *) echo "usage: $0 start|stop|kill|wipe|hold|status [FOLDER]" >&2; exit 2 ;;
  esac
}
