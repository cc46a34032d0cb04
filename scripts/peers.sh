#!/bin/sh
# Makes .venv-peers: what the benchmark's peers need, apart from the project's own environment. Called by `make peers`.
#
# Rules:
#   * Whoever cannot be installed is missing, and the benchmark says so: Restate's server comes from npm, and only where there is one.
#   * Its packages' scripts are not run: they report that they were installed.
set -eu
cd "$(dirname "$0")/.."
python=$(sh scripts/python.sh)
[ -x .venv-peers/bin/python ] || "$python" -m venv .venv-peers
.venv-peers/bin/python -m pip --disable-pip-version-check --no-input install --quiet -r benchmarks/peers/constraints.txt
if command -v npm >/dev/null 2>&1; then
    npm install --prefix .venv-peers --no-save --no-audit --no-fund --ignore-scripts --silent @restatedev/restate-server@1.7.12
else
    echo "peers: there is no npm here, so Restate will be missing" >&2
fi
echo "peers: ready in .venv-peers" >&2
