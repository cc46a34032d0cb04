#!/bin/sh
# Prints the Python to use: the first of $PYTHON python3.14 … python3.11 python3 that runs and is 3.11 or newer.
# Rule: a PYTHON that was named and does not do is an error, and no reason to take another one silently.
set -eu

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1; }

if [ -n "${PYTHON:-}" ]; then
    usable "$PYTHON" || { echo "PYTHON=$PYTHON is not a Python of 3.11 or newer that runs here" >&2; exit 1; }
    echo "$PYTHON"
    exit
fi
for candidate in python3.14 python3.13 python3.12 python3.11 python3; do
    if usable "$candidate"; then echo "$candidate"; exit; fi
done
echo "no Python of 3.11 or newer on PATH: install one, or name it: make PYTHON=path/to/python3" >&2
exit 1
