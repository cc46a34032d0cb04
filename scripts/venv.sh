#!/bin/sh
# Makes .venv, with the first usable Python, and installs the project into it. Called by make; talks on stderr only.
#
# Rules:
#   * The interpreter is the first of $PYTHON python3.14 … python3.11 python3 that runs and is 3.11 or newer.
#   * Without ensurepip (Debian splits it off) virtualenv or uv makes the environment, where one is there.
#   * A half-made .venv is removed, never repaired: one without a working pip, one that was moved (its programs name
#     their old place), one whose Python is too old. A mixture of two environments is worse than none.
#   * The stamp is written last, and holds the directory for which the environment was made.
set -eu
exec 1>&2
cd "$(dirname "$0")/.."

say() { printf 'venv: %s\n' "$*"; }
usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1; }

choose() {
    # A PYTHON that was asked for by name and does not do is an error, not a reason to take another silently.
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" || { say "PYTHON=$PYTHON is not a Python of 3.11 or newer that runs here"; exit 1; }
        printf '%s' "$PYTHON" >&3
        return
    fi
    for candidate in python3.14 python3.13 python3.12 python3.11 python3; do
        if usable "$candidate"; then printf '%s' "$candidate" >&3; return; fi
    done
    say "no Python of 3.11 or newer on PATH: install one, or name it: make PYTHON=path/to/python3"
    exit 1
}

make_environment() {
    trap 'rm -rf .venv' EXIT
    trap 'exit 130' INT TERM HUP
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -m venv .venv
    elif "$python" -m virtualenv --version >/dev/null 2>&1; then
        "$python" -m virtualenv --quiet .venv
    elif command -v virtualenv >/dev/null 2>&1; then
        virtualenv --quiet --python "$python" .venv
    elif command -v uv >/dev/null 2>&1; then
        uv venv --quiet --seed --python "$python" .venv
    else
        say "this Python cannot make environments: apt install python3-venv (or install virtualenv or uv)"
        exit 1
    fi
    trap - EXIT INT TERM HUP
}

whole() {
    usable .venv/bin/python && .venv/bin/python -c 'import pip' >/dev/null 2>&1 &&
        [ "$(cat .venv/place 2>/dev/null)" = "$PWD" ]
}

if [ -e .venv ] || [ -L .venv ]; then
    whole || { say "removing a half-made .venv"; rm -rf .venv; }
fi
if [ ! -e .venv ]; then
    python=$(choose 3>&1 >&2) || exit 1
    say "making .venv with $("$python" -c 'import sys; print(sys.executable, sys.version.split()[0])')"
    make_environment
    pwd > .venv/place
fi

# The build backend comes first and pinned, so that building the project itself needs no second, unpinned download.
pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input "$@"; }
say "installing (a minute on the first run)"
pip install --quiet -c constraints.txt hatchling editables
pip install --quiet -c constraints.txt --no-build-isolation -e '.[dev,demo,uvloop]'
pwd > .venv/stamp
say "ready"
