# Sourced by the test scripts: a small lab that boots Debian with systemd beside a neighbouring host.
#
# It needs root and Debian's apt; what it uses beyond that it installs. It touches neither the machine's own network
# nor its packages' state otherwise, and leaves nothing behind but its cache in target/system/.
set -euo pipefail

LAB_DIR=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
SYSTEM_DIR=$(dirname "$LAB_DIR")
PROJECT=$(realpath "$SYSTEM_DIR/../..")
LAB_CACHE=$PROJECT/target/system
# Every name begins so: several labs may run side by side.
LAB_NAME=pigeond-lab-$$
LAB_STATE=$LAB_CACHE/$LAB_NAME
readonly LAB_DIR SYSTEM_DIR PROJECT LAB_CACHE LAB_NAME LAB_STATE

# shellcheck source=tests/system/lab/check.sh
. "$LAB_DIR/check.sh"
# shellcheck source=tests/system/lab/root.sh
. "$LAB_DIR/root.sh"
# shellcheck source=tests/system/lab/network.sh
. "$LAB_DIR/network.sh"
# shellcheck source=tests/system/lab/machine.sh
. "$LAB_DIR/machine.sh"
# shellcheck source=tests/system/lab/package.sh
. "$LAB_DIR/package.sh"

# prepare SUITE…: makes what every test uses, where it is not there yet.
prepare() {
    [ "$(id -u)" = 0 ] || fail "the lab needs root"
    mkdir -p "$LAB_CACHE"
    need ip iproute2
    need systemd-nspawn systemd-container
    need mmdebstrap mmdebstrap
    package amd64 > /dev/null
    local suite
    for suite; do root_of "$suite" > /dev/null; done
}

# lab_up SUITE: a Debian SUITE, booted at $HOST, and a neighbour of it; all is gone when the script ends.
lab_up() {
    prepare "$1"
    mkdir -p "$LAB_STATE"
    trap lab_down EXIT
    trap 'exit 143' TERM INT HUP
    local root
    root=$(root_of "$1")
    network_up
    boot "$root"
}

lab_down() {
    local status=$?
    # Nothing interrupts this.
    trap - EXIT
    trap '' TERM INT HUP
    [ "$status" = 0 ] || show_logs
    halt || true
    # What still runs on the neighbour.
    jobs -p | xargs -r kill 2> /dev/null || true
    network_down
    rm -rf "$LAB_STATE"
    exit "$status"
}
