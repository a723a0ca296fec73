# Sourced by the tests beside it: four hosts on one switch, each in a network namespace of its own, and pigeond on the
# first. Needs root, iproute2 and python3. Nothing of the machine's own network is touched.

readonly PIGEOND=${PIGEON_BIN:-$PWD/../../target/release}/pigeond
readonly LAB_NAME=pgflood$$
readonly HUB=10.99.0.1 FAR=10.99.0.3
WORK=$(mktemp -d)
readonly WORK
DAEMON=""

lab_up() {
    local host n=0
    for host in sw hub near far other; do
        ip netns add "$LAB_NAME-$host"
        ip -n "$LAB_NAME-$host" link set lo up
    done
    ip -n "$LAB_NAME-sw" link add br0 type bridge mcast_snooping 0
    ip -n "$LAB_NAME-sw" link set br0 up
    for host in hub near far other; do
        n=$((n + 1))
        ip -n "$LAB_NAME-sw" link add "p$host" type veth peer name eth0 netns "$LAB_NAME-$host"
        ip -n "$LAB_NAME-sw" link set "p$host" master br0 up
        ip -n "$LAB_NAME-$host" addr add "10.99.0.$n/24" brd + dev eth0
        ip -n "$LAB_NAME-$host" link set eth0 up
        # Replies to forged addresses have somewhere to go, as by a router, and the kernel lets in what they sent.
        ip -n "$LAB_NAME-$host" route add 10.0.0.0/8 via "$FAR" dev eth0 2> /dev/null || true
        on "$host" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0
    done
}

lab_down() {
    local host
    if [ -n "$DAEMON" ]; then
        kill "$DAEMON" 2> /dev/null || true
        wait "$DAEMON" 2> /dev/null || true
    fi
    for host in sw hub near far other; do
        # What runs there in the background is not this shell's own child.
        ip netns pids "$LAB_NAME-$host" 2> /dev/null | xargs -r kill 2> /dev/null || true
        ip netns del "$LAB_NAME-$host" 2> /dev/null || true
    done
    rm -rf "$WORK"
}

# on HOST COMMAND…: runs a command on one of the hosts.
on() {
    local host=$1
    shift
    ip netns exec "$LAB_NAME-$host" "$@"
}

# hub_start [SETTINGS]: starts pigeond on the first host, by the programs in PIGEON_BIN, and waits until it listens.
hub_start() {
    printf '[state]\ndirectory = "%s/state"\n%s\n' "$WORK" "${1:-}" > "$WORK/pigeond.toml"
    mkdir -p "$WORK/state"
    : > "$WORK/log"
    # Not by `on`: what runs in the background would be the shell's copy, and not the program itself.
    ip netns exec "$LAB_NAME-hub" "$PIGEOND" --config "$WORK/pigeond.toml" 2> "$WORK/log" &
    DAEMON=$!
    local tries=0
    until grep -q "listening on port" "$WORK/log"; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { cat "$WORK/log"; return 1; }
        sleep 0.05
    done
}

# hub_memory: the memory that pigeond has in use, in KiB.
hub_memory() { awk '/^VmRSS:/ { print $2 }' "/proc/$DAEMON/status"; }

# hub_stats: what pigeond says of itself.
hub_stats() {
    on near python3 - "$HUB" << 'ASK'
import socket, sys
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asker.settimeout(0.5)
for _ in range(20):
    asker.sendto(b"STATS", (sys.argv[1], 10125))
    try:
        print(asker.recv(4096).decode())
        break
    except TimeoutError:
        pass
else:
    sys.exit("no answer")
ASK
}
