# Sourced by lab.sh: Debian's root file systems, made once and kept under target/system/.

# How these are made; a change of it makes them anew.
readonly ROOT_RECIPE=1

# The address of the Debian archive that this machine's own apt uses.
mirror() {
    apt-get indextargets --format '$(ORIGIN)|$(CODENAME)|$(REPO_URI)' 'Created-By: Packages' |
        awk -F'|' '$1 == "Debian" && $2 !~ /-/ { print $3; exit }'
}

# root_of SUITE: prints the path of a bootable Debian SUITE, made if it is not there yet (about 20 s).
#
# It holds no more than systemd, its bus and `ip`: what the package needs beyond that it must ask for. That lies in
# apt's cache inside, so that the machine needs no network to install it.
root_of() {
    local suite=$1 root="$LAB_CACHE/$1-$ROOT_RECIPE" new
    if [ ! -e "$root" ]; then
        say "making a Debian $suite (once)"
        need mmdebstrap mmdebstrap
        new=$(mktemp -d "$LAB_CACHE/$suite.XXXXXX")
        chmod 755 "$new"
        make_root "$suite" "$new" > "$new.log" 2>&1 || fail "Debian $suite could not be made" "$new.log"
        # Two that make it at once do not meet: the first to finish wins.
        mv -T "$new" "$root" 2> /dev/null || rm -rf "$new"
        rm -f "$new.log"
    fi
    echo "$root"
}

make_root() {
    timeout 300 mmdebstrap --quiet --variant=minbase --skip=cleanup/apt \
        --include=systemd,systemd-sysv,dbus,iproute2,init-system-helpers \
        --customize-hook='chroot "$1" apt-get install -y -qq --no-install-recommends --download-only procps adduser' \
        --customize-hook='rm -f "$1/usr/sbin/policy-rc.d" "$1/etc/resolv.conf"; : > "$1/etc/machine-id"' \
        "$1" "$2" "$(mirror)"
}
