#!/bin/sh
# Make a virtual environment with pip: venv.sh FOLDER. Does nothing where there is one.
set -eu
. "$(dirname "$0")/apt.sh"

folder=$1

is_new_enough() {
    command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if is_new_enough "$name"; then
            echo "$name"
            return 0
        fi
    done
    return 1
}

if [ -x "$folder/bin/python" ] && is_new_enough "$folder/bin/python" && "$folder/bin/python" -m pip --version >/dev/null 2>&1
then
    exit 0
fi

if ! python=$(find_python); then
    echo "Python 3.11 or newer is missing." >&2
    # Ubuntu 22.04's python3 is 3.10, but it has a python3.11 as well.
    install python3 python3-venv && find_python >/dev/null || install python3.11 python3.11-venv || true
    if ! python=$(find_python); then
        echo "Please install Python 3.11 or newer; found: $(python3 --version 2>&1 || true)" >&2
        exit 1
    fi
fi

# Debian splits venv's other half into packages of their own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "Python's venv module is missing." >&2
    install "$("$python" -c 'import sys; print(f"python3.{sys.version_info.minor}-venv")')" || true
fi

echo "making the virtual environment $folder with $("$python" --version)" >&2
if "$python" -c 'import ensurepip' 2>/dev/null; then
    "$python" -m venv --clear "$folder"
elif "$python" -m pip --version >/dev/null 2>&1; then # no ensurepip and no root, but some pip that can install pip
    "$python" -m venv --clear --without-pip "$folder"
    "$python" -m pip --python "$folder/bin/python" install --quiet pip
else
    echo "Please install Python's venv module (Debian, Ubuntu: sudo apt-get install python3-venv)." >&2
    exit 1
fi
