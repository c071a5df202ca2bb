#!/bin/sh
# The tools that a part of the tests needs, by apt where that is possible: toolchain.sh FOLDER-FOR-A-STAMP.
# Never fails: tests whose tool is missing are skipped and say so.
set -u
. "$(dirname "$0")/apt.sh"

stamp=$1/.toolchain-tried

missing() {
    command -v g++ >/dev/null || printf 'g++ '
    if command -v arm-none-eabi-gcc >/dev/null; then
        # newlib is a package of its own; without it the compiler echoes the name it was asked for
        [ "$(arm-none-eabi-gcc -print-file-name=libc.a)" != libc.a ] || printf 'libnewlib-arm-none-eabi '
    else
        printf 'gcc-arm-none-eabi libnewlib-arm-none-eabi '
    fi
    command -v qemu-system-arm >/dev/null || printf 'qemu-system-arm '
    command -v clang >/dev/null || printf 'clang '
    command -v wasm-ld >/dev/null || printf 'lld '
}

packages=$(missing)
[ -n "$packages" ] || exit 0
echo "missing tools: $packages" >&2
if [ ! -e "$stamp" ]; then
    # shellcheck disable=SC2086  # a list of words
    install $packages || true
    touch "$stamp"
    packages=$(missing)
fi
case $packages in *g++*) echo "    without g++ the layers run in plain torch: slower, and tests of the C++ path are skipped" >&2 ;; esac
case $packages in *arm*) echo "    without the Arm compiler and emulator the firmware tests are skipped" >&2 ;; esac
case $packages in *clang*|*lld*) echo "    without clang and lld the tests of the browser's page are skipped" >&2 ;; esac
if [ -n "$packages" ]; then
    echo "    (delete $stamp to try installing them again)" >&2
fi
