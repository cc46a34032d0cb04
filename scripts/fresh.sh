#!/usr/bin/env bash
# What a newcomer gets: HEAD, cloned into a new 0700 directory, `make demo` and `make test` with a bare environment.
# As root it happens a second time as another account, in a clone which that account owns.
#
# Rules:
#   * `env -i HOME=… PATH=/usr/bin:/bin`, and nothing else but what these two lines allow:
#     PYTHON, when it was given, or when those two directories hold no Python of 3.11: the first on the caller's PATH;
#     the variables named in FRESH_KEEP, for a machine whose pip finds nothing without them.
#   * Postgres and libpq must be those of the wheels, looked at in the running processes (scripts/provenance.py).
#   * The other account is $FRESH_USER, else nobody. An interpreter which it may not execute is no finding about the
#     project: it gets another one, else a copy of that interpreter's prefix (with its library's path), else a sentence and exit 1.
#   * Nothing is left: the clones go by trap (KEEP=1 keeps them), and a process left behind fails the run.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
bare=/usr/bin:/bin
clones=()

say() { printf '\n== fresh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
# shellcheck disable=SC2317  # called by the trap
clean() { [ -n "${KEEP:-}" ] || rm -rf "${clones[@]:-}"; }
trap clean EXIT
trap 'exit 130' INT TERM HUP

usable() { "$@" -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1; }

# run ACCOUNT COMMAND…: as that account; an empty one is the present one
run() {
    local account=$1
    shift
    if [ -z "$account" ]; then "$@"
    elif command -v setpriv >/dev/null; then
        # setpriv starts its program with root's rights to find it, and loses them as it does: env finds the real one
        setpriv --reuid="$account" --regid="$(id -g "$account")" --clear-groups -- env "$@"
    elif command -v runuser >/dev/null; then runuser -u "$account" -- "$@"
    else sudo -n -u "$account" -- "$@"
    fi
}

# clone ACCOUNT: a 0700 directory of that account, with HEAD in clone/ and an empty home/
clone() {
    place=$(mktemp -d /tmp/saga-fresh-XXXXXX)
    clones+=("$place")
    git clone --quiet --no-hardlinks "$root" "$place/clone"
    mkdir "$place/home"
    chmod 700 "$place"
    [ -z "$1" ] || chown -R "$1:$(id -g "$1")" "$place"
}

# choose ACCOUNT: sets `python` to the interpreter for make, or to nothing when the bare PATH has one; `extra`: see below
choose() {
    extra=()
    python=${PYTHON:+$(command -v "$PYTHON" || true)}
    [ -z "${PYTHON:-}" ] || [ -n "$python" ] || die "PYTHON=$PYTHON is not there"
    if [ -z "$python" ] && ! PYTHON='' PATH=$bare sh "$root/scripts/python.sh" >/dev/null 2>&1; then
        python=$(sh "$root/scripts/python.sh")
    fi
    if [ -z "$python" ]; then
        return
    fi
    python=$("$python" -c 'import sys; print(sys.executable)')
    usable run "$1" "$python" && return
    say "$1 may not execute $python; looking for another"
    local name
    for name in $(type -aP python3.14 python3.13 python3.12 python3.11 python3); do
        if usable run "$1" "$name"; then python=$name; return; fi
    done
    copy_prefix "$1"
}

# copy_prefix ACCOUNT: `python` becomes a copy that the account owns, without what was installed into it
copy_prefix() {
    local prefix version copy="$place/python"
    prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
    version=$("$python" -c 'import sys; print(sys.version)')
    say "copying the interpreter's prefix for $1"
    mkdir "$copy"
    tar -C "$prefix" --exclude=site-packages --exclude=__pycache__ -cf - . | tar -C "$copy" -xf -
    chown -R "$1:$(id -g "$1")" "$copy"
    python="$copy/bin/python3"
    # Built with a shared library it would look for that in its old place, and take the system's, one version off.
    extra=("LD_LIBRARY_PATH=$copy/lib")
    [ "$(run "$1" env "${extra[@]}" "$python" -c 'import sys; print(sys.version)' 2>/dev/null)" = "$version" ] ||
        die "no Python of 3.11 that $1 can execute, and a copy of this one does not run: give PYTHON= one that $1 can execute"
}

# both ACCOUNT: the two commands of the README
both() {
    local account=$1 as=${1:-$(id -un)} keep=() name
    clone "$account"
    choose "$account"
    for name in ${FRESH_KEEP:-}; do keep+=("$name=${!name:-}"); done
    local newcomer=(env -i "HOME=$place/home" "PATH=$bare" "${keep[@]}" "${extra[@]}" ${python:+"PYTHON=$python"})
    cd "$place/clone"
    say "make demo, as $as, in $place/clone"
    run "$account" "${newcomer[@]}" make demo </dev/null >"$place/stdout" || die "make demo failed as $as"
    run "$account" "${newcomer[@]}" .venv/bin/python scripts/demo_line.py <"$place/stdout" || die "the demo's line is wrong"
    say "make test, as $as"
    run "$account" "${newcomer[@]}" make test </dev/null || die "make test failed as $as"
    run "$account" "${newcomer[@]}" .venv/bin/python scripts/provenance.py || die "a Postgres or a libpq of the system is in use"
    [ -z "$(run "$account" "${newcomer[@]}" git status --porcelain)" ] || die "the clone has a file that is neither committed nor ignored"
    cd "$root"
    left=$(grep -lzF "$place" /proc/[0-9]*/cmdline 2>/dev/null || true)
    [ -z "$left" ] || die "processes are left: $left"
    say "passed as $as"
}

[ -z "$(git -C "$root" status --porcelain)" ] || say "HEAD is cloned: what is not committed is not in it"
both ""
if [ "$(id -u)" = 0 ]; then
    other=${FRESH_USER:-nobody}
    id "$other" >/dev/null 2>&1 || die "there is no account $other: give FRESH_USER="
    both "$other"
fi
say "all of it passed"
