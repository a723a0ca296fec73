# Sourced by lab.sh: boots a root file system in a container with systemd as process 1, and runs commands in it.

# Its processes live in control groups of their own, in each hierarchy that this machine has.
control_groups() {
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        echo "/sys/fs/cgroup/$LAB_NAME"
    else
        printf '%s\n' /sys/fs/cgroup/unified/"$LAB_NAME" /sys/fs/cgroup/systemd/"$LAB_NAME"
    fi
}

# boot ROOT: boots a copy of it that is thrown away, on the host's network. The project's scripts lie at /lab, packages
# that a test makes at /debs.
boot() {
    local group
    mkdir -p "$LAB_STATE/debs"
    for group in $(control_groups); do mkdir -p "$group"; done
    (
        for group in $(control_groups); do echo "$BASHPID" > "$group/cgroup.procs"; done
        export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
        exec setsid systemd-nspawn -q -D "$1" --volatile=overlay -M "$LAB_NAME" --boot --register=no --keep-unit \
            --console=pipe --network-namespace-path="/run/netns/$HOST_NET" --resolv-conf=off --timezone=off \
            --link-journal=no --bind-ro="$LAB_STATE/debs:/debs" < /dev/null > "$LAB_STATE/console" 2>&1
    ) &
    MACHINE=$!
    until_true 10 "the container starts" find_leader
    until_true 20 "systemd is up" is_up
}

# systemd-nspawn's child that has become process 1 of the container.
find_leader() {
    local child
    kill -0 "$MACHINE" || fail "systemd-nspawn ended" "$LAB_STATE/console"
    for child in $(cat "/proc/$MACHINE/task/$MACHINE/children"); do
        if [ "$(cat "/proc/$child/comm")" = systemd ]; then
            LEADER=$child
            return
        fi
    done
    return 1
}

is_up() {
    case $(inside systemctl is-system-running) in
        running | degraded) ;;
        *) return 1 ;;
    esac
}

# inside COMMAND…: runs a command in the container, as root.
inside() {
    nsenter -t "$LEADER" -m -u -i -n -p -C -r -w env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb \
        LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive SYSTEMD_PAGER= "$@"
}

# The container is powered off, the hard way if it takes more than five seconds.
halt() {
    [ -n "${MACHINE:-}" ] || return 0
    local group end
    kill -TERM "$MACHINE" 2> /dev/null
    end=$(($(now_ms) + 5000))
    while kill -0 "$MACHINE" 2> /dev/null && [ "$(now_ms)" -lt "$end" ]; do sleep 0.05; done
    # With process 1 of the container all of it goes.
    if [ "$(cat "/proc/${LEADER:-0}/comm" 2> /dev/null)" = systemd ]; then kill -KILL "$LEADER"; fi
    kill -KILL "$MACHINE" 2> /dev/null
    wait "$MACHINE" 2> /dev/null
    for group in $(control_groups); do
        find "$group" -depth -type d -exec rmdir {} + 2> /dev/null
    done
}

# What a failure is understood by.
show_logs() {
    [ -n "${LEADER:-}" ] || return 0
    echo "  the unit and the end of its journal:" >&2
    inside systemctl status --no-pager --lines=0 pigeond >&2 2>&1 || true
    inside journalctl --no-pager -q -n 25 -o short-precise -u pigeond >&2 || true
}
