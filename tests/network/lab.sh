# Sourced by the test scripts: hosts on two small networks, each host in a network namespace of its own.
#
#     a, b and c   10.99.0.1, .2 and .3   fd99::1, ::2 and ::3   on the first network, each by its eth0
#     d            10.98.0.4              fd98::4                on the second, by its eth0
#     a            10.98.0.1              fd98::1                on the second too, by its eth1, after `second_interface`
#
# It needs root, `ip` and python3, touches nothing of the machine's own network, and leaves nothing behind.
# PIGEON_BIN names the directory of the programs; unless it is set that is target/release.
set -euo pipefail

LAB_DIR=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
PROJECT=$(realpath "$LAB_DIR/../..")
PIGEON_BIN=$(realpath "${PIGEON_BIN:-$PROJECT/target/release}")
# Every name begins so: several labs may run side by side.
LAB_NAME=pigeond-net-$$
readonly LAB_DIR PROJECT PIGEON_BIN LAB_NAME
readonly PORT=10125 HOSTS=(a b c d)

lab_up() {
    [ "$(id -u)" = 0 ] || fail "the lab needs root"
    [ -x "$PIGEON_BIN/pigeond" ] || fail "there is no program $PIGEON_BIN/pigeond; build it, or set PIGEON_BIN"
    LAB_STATE=$(mktemp -d)
    trap lab_down EXIT
    trap 'exit 143' TERM INT HUP
    local host bridge
    for host in switch "${HOSTS[@]}"; do
        ip netns add "$LAB_NAME-$host"
        ip -n "$LAB_NAME-$host" link set lo up
    done
    for bridge in first second; do
        ip -n "$LAB_NAME-switch" link add "$bridge" type bridge mcast_snooping 0
        ip -n "$LAB_NAME-switch" link set "$bridge" up
    done
    plug a eth0 first 10.99.0.1 fd99::1
    plug b eth0 first 10.99.0.2 fd99::2
    plug c eth0 first 10.99.0.3 fd99::3
    plug d eth0 second 10.98.0.4 fd98::4
}

# plug HOST INTERFACE NETWORK IPV4 IPV6: gives a host an interface, and waits until it can be used.
plug() {
    local host=$LAB_NAME-$1 interface=$2 network=$3 tries=100
    ip -n "$LAB_NAME-switch" link add "$1-$2" type veth peer name "$interface" netns "$host"
    ip -n "$LAB_NAME-switch" link set "$1-$2" master "$network" up
    # No other host has its addresses: nobody needs to be asked, which would take a second.
    on "$1" sh -c "echo 0 > /proc/sys/net/ipv6/conf/$interface/accept_dad"
    ip -n "$host" addr add "$4/24" brd + dev "$interface"
    ip -n "$host" addr add "$5/64" dev "$interface" nodad
    ip -n "$host" link set "$interface" up
    while [ -z "$(link_local "$1" "$interface")" ]; do
        [ $((tries -= 1)) -gt 0 ] || fail "$1 got no link-local address"
        sleep 0.05
    done
}

# second_interface: puts host a on the second network too, unless it is.
second_interface() { ip -n "$LAB_NAME-a" link show eth1 > /dev/null 2>&1 || plug a eth1 second 10.98.0.1 fd98::1; }

# link_local HOST INTERFACE: the host's own link-local address there, nothing while it cannot be used yet.
link_local() {
    ip -n "$LAB_NAME-$1" -6 -oneline addr show dev "$2" scope link -tentative | awk '{ sub("/.*", "", $4); print $4; exit }'
}

# on HOST COMMAND…: runs a command on a host.
on() {
    local host=$1
    shift
    ip netns exec "$LAB_NAME-$host" "$@"
}

# hub HOST [SETTINGS]: starts a hub that is called as its host, and waits until it listens.
hub() {
    local host=$1 tries=200 file=$LAB_STATE/$1.toml log=$LAB_STATE/$1.log
    printf 'log.level = "debug"\nstate.directory = ""\nbroadcast.name = "%s"\n%s\n' "$host" "${2:-}" > "$file"
    : > "$log"
    env -u NOTIFY_SOCKET -u JOURNAL_STREAM ip netns exec "$LAB_NAME-$host" "$PIGEON_BIN/pigeond" --config "$file" 2> "$log" &
    HUBS[$host]=$!
    until grep -q "listening on port $PORT" "$log"; do
        kill -0 "${HUBS[$host]}" 2> /dev/null || fail "the hub on $host did not start"
        [ $((tries -= 1)) -gt 0 ] || fail "the hub on $host does not listen"
        sleep 0.05
    done
}
declare -A HUBS=()

# reload HOST SETTINGS: gives the hub other settings, once.
reload() {
    local tries=100 log=$LAB_STATE/$1.log
    printf 'log.level = "debug"\nstate.directory = ""\nbroadcast.name = "%s"\n%s\n' "$1" "$2" > "$LAB_STATE/$1.toml"
    kill -HUP "${HUBS[$1]}"
    until grep -q "the configuration was reloaded" "$log"; do
        [ $((tries -= 1)) -gt 0 ] || fail "the hub on $1 did not reload"
        sleep 0.05
    done
}

# peer HOST ARGUMENTS…: see peer.py.
peer() {
    local host=$1
    shift
    on "$host" python3 "$LAB_DIR/peer.py" "$@"
}

# figure HOST NAME: a figure of the hub on a host, asked over TCP so that no datagram is counted.
figure() { peer "$1" tcp 127.0.0.1 STATS | tr ' ' '\n' | sed -n "s/^$2=//p"; }

# hubs_down: ends every hub.
hubs_down() {
    local host
    for host in "${!HUBS[@]}"; do
        kill "${HUBS[$host]}" 2> /dev/null || true
        wait "${HUBS[$host]}" 2> /dev/null || true
    done
    HUBS=()
}

lab_down() {
    local status=$? host
    # Nothing interrupts this.
    trap - EXIT
    trap '' TERM INT HUP
    [ "$status" = 0 ] || tail -n 40 "$LAB_STATE"/*.log 2> /dev/null || true
    hubs_down
    for host in switch "${HOSTS[@]}"; do
        ip netns pids "$LAB_NAME-$host" 2> /dev/null | xargs -r kill 2> /dev/null || true
        ip netns del "$LAB_NAME-$host" 2> /dev/null || true
    done
    rm -rf "$LAB_STATE"
    exit "$status"
}

# run_test NAME COMMAND…: runs a test in the lab as it is, and ends its hubs.
run_test() {
    printf '  %s\n' "$1"
    "${@:2}"
    hubs_down
}

# same NAME WANTED GOT: they must be the same.
same() { [ "$2" = "$3" ] || fail "$1: wanted \"$2\", got \"$3\""; }

fail() {
    printf '  FAILED: %s\n' "$*" >&2
    exit 1
}
