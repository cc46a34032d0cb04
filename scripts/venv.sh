#!/bin/sh
# Makes .venv, with the Python that scripts/python.sh chooses, and installs the project into it. Called by make.
#
# Rules:
#   * It talks on stderr only: stdout belongs to the program that make runs afterwards.
#   * Without ensurepip (Debian splits it off) virtualenv or uv makes the environment, where one is there.
#   * A half-made .venv is removed, never repaired: one without a working pip, one that was moved (its programs name
#     their old place). A mixture of two environments is worse than none.
#   * The stamp is written last, and holds the directory for which the environment was made.
set -eu
exec 1>&2
cd "$(dirname "$0")/.."

say() { printf 'venv: %s\n' "$*"; }

whole() {
    .venv/bin/python -c 'import pip' </dev/null >/dev/null 2>&1 && [ "$(cat .venv/place 2>/dev/null)" = "$PWD" ]
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
    pwd > .venv/place
    trap - EXIT INT TERM HUP
}

# The build backend comes first and pinned, so that building the project itself needs no second, unpinned download.
pip() { .venv/bin/python -m pip --disable-pip-version-check --no-input "$@" </dev/null; }

if { [ -e .venv ] || [ -L .venv ]; } && ! whole; then
    say "removing a half-made .venv"
    rm -rf .venv
fi
if [ ! -e .venv ]; then
    python=$(sh scripts/python.sh 2>&1) || { say "$python"; exit 1; }
    say "making .venv with $("$python" -c 'import sys; print(sys.executable, sys.version.split()[0])')"
    make_environment
fi
say "installing (a minute on the first run)"
pip install --quiet -c constraints.txt hatchling editables
pip install --quiet -c constraints.txt --no-build-isolation -e '.[dev,demo,uvloop]'
pwd > .venv/stamp
say "ready"
