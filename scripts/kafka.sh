#!/usr/bin/env bash
# A real Apache Kafka for tests and benchmarks: one node, broker and controller
# in one JVM (KRaft), on loopback. Several run side by side, a folder each.
#
#   kafka.sh start [FOLDER]    starts it unless it runs; prints its bootstrap address
#   kafka.sh stop [FOLDER]     ends it in good order; data and port stay
#   kafka.sh kill [FOLDER]     ends it with SIGKILL; data and port stay
#   kafka.sh wipe [FOLDER]     ends it and removes the folder
#   kafka.sh hold [FOLDER]     starts it, and wipes it when standard input ends
#   kafka.sh status [FOLDER]   pid, resident memory, address
#
# FOLDER may come in KAFKA_DIR; by default it is hextide-kafka-UID where
# temporary files go. Ports are free ones unless KAFKA_PORT gives the broker's.
# KAFKA_HEAP is the JVM's heap, 512m by default. Needs Java 17 and, the first
# time, Maven: the jars (43 MB) come from Maven Central and stay in the cache.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
name=kafka
version=4.1.0
dir=${2:-${KAFKA_DIR:-${TMPDIR:-/tmp}/hextide-kafka-$(id -u)}}
port=${KAFKA_PORT:-}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hextide/kafka-$version
# shellcheck source=scripts/server.sh
. "$here/server.sh"

# jars fills the cache once, whoever comes first.
jars() {
  [ -e "$cache/complete" ] && return
  command -v mvn >/dev/null || fail "Maven is needed once, to fetch the broker's jars"
  mkdir -p "$cache"
  (
    flock 8
    [ -e "$cache/complete" ] && exit
    mvn -q -B -ntp -Dstyle.color=never -f "$here/kafka/pom.xml" dependency:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory="$cache" >&2
    touch "$cache/complete"
  ) 8>"$cache.lock"
}

configure() {
  local broker controller
  broker=$(cat "$dir/port")
  # The controller's port is nobody's business: a new one at every start. A node
  # that is its own only voter finds itself by what is written here.
  controller=$(free_port)
  cat >"$dir/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$broker,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$broker
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/data
auto.create.topics.enable=false
num.partitions=4
# Event times are old: nothing may be deleted for its age.
log.retention.ms=-1
log.retention.bytes=-1
# There is one node, so one replica of every internal topic; with the defaults
# transactions wait for ever.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
# A transaction whose time is over is aborted within a second, not ten.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# After SIGKILL the broker cannot register again until its session is over.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
# A test's first consumer need not wait for others.
group.initial.rebalance.delay.ms=0
EOF
  cat >"$dir/log4j2.properties" <<'EOF'
status=error
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %m (%c)%n%ex
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
EOF
}

prepare() {
  command -v java >/dev/null || fail "Java 17 is needed"
  jars
  configure
  [ -e "$dir/data/meta.properties" ] && return
  # A cluster's id is 16 random bytes in URL-safe base64. Made here, it saves
  # starting a JVM for it. A leading '-' would be read as an option.
  local id
  id=A$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 2-22)
  java -Xshare:auto -XX:TieredStopAtLevel=1 -cp "$cache/*" "-Dlog4j2.configurationFile=$dir/log4j2.properties" \
    kafka.tools.StorageTool format -t "$id" -c "$dir/server.properties" >"$dir/log" 2>&1 9<&- ||
    { cat "$dir/log" >&2; fail "formatting $dir/data failed"; }
}

# setsid keeps the terminal's Ctrl-C from the broker.
launch() {
  setsid java "-Xms128m" "-Xmx${KAFKA_HEAP:-512m}" -XX:+UseG1GC -cp "$cache/*" \
    "-Dlog4j2.configurationFile=$dir/log4j2.properties" \
    kafka.Kafka "$dir/server.properties" >"$dir/log" 2>&1 </dev/null 9<&- &
  pid=$!
}

ready() {
  grep -q 'Kafka Server started' "$dir/log" &&
    (exec 3<>"/dev/tcp/127.0.0.1/$(cat "$dir/port")") 2>/dev/null
}

command_line "${1:-start}"
