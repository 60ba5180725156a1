# What `scripts/stack` and its cluster have in common. `run` is the folder of data, logs and pids.
# shellcheck shell=bash

# One folder for each state of pom.xml: whether it is there says whether everything was fetched.
cache="${DELTAMART_STACK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/deltamart-stack}/$(cksum <pom.xml | tr ' ' -)"
java="${JAVA_HOME:+$JAVA_HOME/bin/}java"
path=/apis/ccompat/v7

fail() { printf '== %s\n' "$@" >&2; exit 1; }

# Prints the pid if it runs. A pid is given again after a reboot: the command line must name this folder too.
pid_of() {
    local pid
    pid=$(cat "$run/$1.pid" 2>/dev/null) && ps -ww -p "$pid" -o args= 2>/dev/null | grep -qF -- "-Dstack=$run/$1 " && echo "$pid"
}

# Sends printf's bytes to a port, prints the first $3 bytes of the answer in hex; fails if there is none in time.
ask() {
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        # shellcheck disable=SC2059  # escapes are what it is for
        printf "$2" >&3
        timeout 2 head -c "$3" <&3 | od -An -v -tx1 | tr -d ' \n'
    ) 2>/dev/null
}
# "HTTP/1.x 200".
answers_registry() { [[ "$(ask "$registry_port" "GET $path/subjects HTTP/1.0\r\nHost: localhost\r\n\r\n" 12)" == 485454502f312e3?20323030 ]]; }

is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

java_works() {
    local version
    version=$("$java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p') && [ "${version:-0}" -ge 17 ]
}

fetch() {
    ../need ps procps
    java_works || ../need java default-jre-headless
    java_works || fail "Java 17 or later is needed; '$java -version' says:" "$("$java" -version 2>&1 || true)"
    if [ -d "$cache" ]; then return; fi
    ../need mvn maven
    echo "== fetching Kafka and the registry (150 MB), once, into $cache" >&2
    local new="$cache.new.$$"
    mvn --quiet --batch-mode --file pom.xml -Dstack.into="$new" process-resources >&2 || {
        rm -rf "$new"
        fail "Maven could not fetch what scripts/stack.d/pom.xml names: its error is above; 'up' tries again"
    }
    # Whole or not at all; another `up` may have been first.
    mv -T "$new" "$cache" 2>/dev/null || rm -rf "$new"
}

# What starts fastest and stays small; the `stack` property is how pid_of knows its own.
start() {
    local name="$1"; shift
    local detached
    detached=$(command -v setsid || true)
    # The lock (9) is ours, not theirs.
    $detached nohup "$java" "-Dstack=$run/$name" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "$@" </dev/null >>"$run/$name.log" 2>&1 9>&- &
    echo $! >"$run/$name.pid"
}

start_registry() {
    # Schemas are in a file, on the disk before a registration is answered: their ids outlive a kill. A schema with
    # other white space is the same one, and an incompatible one is refused, as in Confluent's registry by default.
    start registry -Xmx384m -Djava.util.logging.manager=org.jboss.logmanager.LogManager \
        -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$registry_port" \
        -Dquarkus.management.host=127.0.0.1 -Dquarkus.management.port=0 \
        -Dquarkus.http.access-log.enabled=false "-Dquarkus.log.console.format=%d{HH:mm:ss,SSS} %p [%c{1}] %m%n" \
        "-Dapicurio.datasource.url=jdbc:h2:file:$run/registry/schemas;WRITE_DELAY=0" \
        -Dapicurio.datasource.jdbc.initial-size=2 -Dapicurio.datasource.jdbc.min-size=2 -Dapicurio.datasource.jdbc.max-size=10 \
        -Dapicurio.ccompat.use-canonical-hash=true -Dapicurio.rules.global.compatibility=BACKWARD \
        -Dapicurio.rules.global.validity=FULL -jar "$cache"/registry/apicurio-registry-app-*-runner.jar
}

# What every broker here is set to: event times are synthetic, any retention or limit on them would lose records.
# Nothing is created by being asked for: a misspelt topic shall be an error. Few partitions of Kafka's own, it starts
# sooner; after a kill -9 it may only start when the session of the one before is over, 9 s by default. $1: copies.
properties() {
    cat <<PROPERTIES
auto.create.topics.enable=false
log.retention.ms=-1
log.roll.ms=9223372036854775807
log.message.timestamp.before.max.ms=9223372036854775807
log.message.timestamp.after.max.ms=9223372036854775807
log.cleaner.dedupe.buffer.size=16777216
offsets.topic.replication.factor=$1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$1
transaction.state.log.min.isr=$((($1 + 1) / 2))
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=$1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
PROPERTIES
}

# Twenty letters or digits, and an A: an id of a cluster, or a password.
some_id() { echo "s$(head -c 24 /dev/urandom | base64 | tr '+/' '-_' | cut -c1-20)A"; }

# Waits until it answers, ends or 90 s are over.
await() {
    local until=$((SECONDS + 90))
    until "answers_$1"; do
        if ! pid_of "$1" >/dev/null; then
            fail "$1 ended while it started; the end of $run/$1.log:" "$(tail -n 20 "$run/$1.log")"
        elif [ "$SECONDS" -ge "$until" ]; then
            fail "$1 runs (pid $(pid_of "$1")) but did not answer on its port within 90 s; the end of $run/$1.log:" "$(tail -n 20 "$run/$1.log")"
        fi
        sleep 0.1
    done
}

# stop SIGNAL NAME...
stop() {
    local signal="$1" name pid until; shift
    for name in "$@"; do
        pid=$(pid_of "$name") || continue
        kill "-$signal" "$pid"
        until=$((SECONDS + 60))
        while pid_of "$name" >/dev/null; do
            if [ "$SECONDS" -ge "$until" ]; then fail "$name (pid $pid) has not ended 60 s after SIG$signal: 'scripts/stack kill $name' ends it"; fi
            sleep 0.1
        done
        rm -f "$run/$name.pid"
    done
}
