# Sourced by lab.sh: saying, failing, waiting, and installing what is needed.

# Steps that hold are told on standard output, one line each.
ok() { printf '  ok: %s\n' "$*"; }

say() { printf '  -- %s\n' "$*" >&2; }

# fail MESSAGE [FILE]: ends the script, with the end of that log.
fail() {
    printf '  FAILED: %s\n' "$1" >&2
    [ -z "${2:-}" ] || tail -n 30 "$2" >&2
    exit 1
}

# until_true SECONDS WHAT COMMAND…: waits until the command succeeds; fails if it does not in time.
until_true() {
    local limit=$1 what=$2 end
    shift 2
    end=$(($(now_ms) + limit * 1000))
    until "$@" > /dev/null 2>&1; do
        [ "$(now_ms)" -lt "$end" ] || fail "not within $limit s: $what"
        sleep 0.05
    done
}

# same WANTED GOT WHAT
same() { [ "$1" = "$2" ] || fail "$3: wanted '$1', got '$2'"; }

# contains PART TEXT WHAT
contains() {
    case $2 in
        *"$1"*) ;;
        *) fail "$3: '$1' is not in: $2" ;;
    esac
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# need PROGRAM PACKAGE…: installs the packages where the program is not there.
need() {
    local program=$1
    shift
    command -v "$program" > /dev/null || install_packages "$@"
}

install_packages() {
    say "installing $*"
    try_install "$@" || { apt-get update -qq && try_install "$@"; } || fail "could not be installed: $*"
}

try_install() {
    DEBIAN_FRONTEND=noninteractive timeout 600 apt-get install -o DPkg::Lock::Timeout=300 -y -qq \
        --no-install-recommends "$@" > /dev/null
}
