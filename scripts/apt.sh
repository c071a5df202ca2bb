# Sourced: `install PACKAGE...` by apt, where that is possible; false, saying why, where it is not.

install() {
    if ! command -v apt-get >/dev/null; then
        echo "    this system has no apt-get" >&2
        return 1
    fi
    if [ "$(id -u)" -eq 0 ]; then
        as_root=
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=sudo
    else
        echo "    installing them needs root: sudo apt-get install $*" >&2
        return 1
    fi
    echo "    installing $* ..." >&2
    for attempt in have update; do
        if [ "$attempt" = update ]; then # the lists of a fresh machine are empty or old
            $as_root apt-get update -qq >&2 || return 1
        fi
        if $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1
        then
            return 0
        fi
    done
    echo "    apt-get could not install: $*" >&2
    return 1
}
