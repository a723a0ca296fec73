# Sourced by lab.sh: the package under test.

# What the package is made of.
readonly SOURCES=(Cargo.toml Cargo.lock .cargo src config systemd packaging docs)

# package ARCH: prints the newest package for it in target/debian/, built first if there is none, or none as new as what
# it is made of. PIGEOND_DEBS names another directory, whose newest is taken as it is.
package() {
    local deb
    deb=$(newest_package "$1")
    if [ -z "${PIGEOND_DEBS:-}" ] && is_stale "$deb"; then
        say "building the package for $1"
        "$PROJECT/packaging/build-deb" "$1" > "$LAB_CACHE/build.log" 2>&1 ||
            fail "the package could not be built" "$LAB_CACHE/build.log"
        deb=$(newest_package "$1")
    fi
    [ -n "$deb" ] || fail "there is no package for $1"
    echo "$deb"
}

is_stale() {
    local newer
    [ -n "$1" ] || return 0
    newer=$(cd "$PROJECT" && find "${SOURCES[@]}" -newer "$1" -type f -print -quit)
    [ -n "$newer" ]
}

newest_package() {
    find "${PIGEOND_DEBS:-$PROJECT/target/debian}" -maxdepth 1 -name "pigeond_*_$1.deb" -printf '%T@ %p\n' 2> /dev/null |
        sort -rn | head -n 1 | cut -d' ' -f2-
}

# hand_over: puts the package at /debs/pigeond.deb inside the container.
hand_over() {
    local deb
    deb=$(package amd64)
    cp "$deb" "$LAB_STATE/debs/pigeond.deb"
}

# hand_over_higher NUMBER [EDIT]: puts the same package, its version raised by that number, at /debs/NUMBER.deb. EDIT is
# a command that is given the unpacked package's path, and may change it.
hand_over_higher() {
    local tree=$LAB_STATE/higher
    dpkg-deb -R "$LAB_STATE/debs/pigeond.deb" "$tree"
    sed -i -E "s/^Version: .*/&+higher$1/" "$tree/DEBIAN/control"
    [ $# -lt 2 ] || "$2" "$tree"
    dpkg-deb --root-owner-group -b "$tree" "$LAB_STATE/debs/$1.deb" > /dev/null
    rm -rf "$tree"
}

# upgrade_to NUMBER [OPTION…]: with nobody there to be asked anything.
upgrade_to() {
    inside dpkg "${@:2}" -i "/debs/$1.deb" < /dev/null > "$LAB_STATE/install.log" 2>&1 ||
        fail "the package could not be upgraded" "$LAB_STATE/install.log"
    contains "+higher$1" "$(inside dpkg-query -W -f '${Version}' pigeond)" "the version after the upgrade"
}

# install_package [NAME]: as a user does, with what it depends on and nothing else; needs no network.
install_package() {
    inside apt-get install -y -qq --no-install-recommends "/debs/${1:-pigeond}.deb" \
        > "$LAB_STATE/install.log" 2>&1 || fail "the package could not be installed" "$LAB_STATE/install.log"
}

# property NAME: of the unit, as systemd says it.
property() { inside systemctl show --value -p "$1" pigeond; }

# journal ARGUMENT…: lines of the journal, written out first.
journal() {
    inside journalctl --sync
    inside journalctl --no-pager -q "$@"
}
