# Sourced by lab.sh: the host under test and its neighbour, each in a network namespace of its own.

# The addresses come from the blocks that are set aside for tests of this kind.
readonly HOST=10.99.0.2 HOST6=fd99::2 NEIGHBOUR=10.99.0.1 NEIGHBOUR6=fd99::1
readonly HOST_NET=$LAB_NAME-host NEIGHBOUR_NET=$LAB_NAME-near

network_up() {
    local net
    for net in "$HOST_NET" "$NEIGHBOUR_NET"; do
        ip netns add "$net"
        ip -n "$net" link set lo up
    done
    ip -n "$NEIGHBOUR_NET" link add eth0 type veth peer name eth0 netns "$HOST_NET"
    ip -n "$NEIGHBOUR_NET" link set eth0 up
    ip -n "$NEIGHBOUR_NET" addr add "$NEIGHBOUR/24" dev eth0
    ip -n "$NEIGHBOUR_NET" addr add "$NEIGHBOUR6/64" dev eth0 nodad
    ip -n "$HOST_NET" link set eth0 up
    give_addresses
}

# The host has its addresses from the start; a test may take them away and give them back.
give_addresses() {
    ip -n "$HOST_NET" addr add "$HOST/24" dev eth0
    ip -n "$HOST_NET" addr add "$HOST6/64" dev eth0 nodad
}

take_addresses() { ip -n "$HOST_NET" addr flush dev eth0; }

network_down() {
    local net
    for net in "$HOST_NET" "$NEIGHBOUR_NET"; do
        ip netns del "$net" 2> /dev/null || true
    done
}

# near COMMAND…: runs a command on the neighbour.
near() { ip netns exec "$NEIGHBOUR_NET" "$@"; }

# asked udp|tcp ADDRESS LINE: what the hub answers the neighbour to one line, within a second.
asked() { near python3 "$LAB_DIR/ask.py" "$@"; }

# answers [ADDRESS]: whether the hub answers the neighbour over both transports.
answers() {
    local address=${1:-$HOST}
    [ "$(asked udp "$address" "PING udp")" = "pong udp" ] && [ "$(asked tcp "$address" "PING tcp")" = "pong tcp" ]
}
