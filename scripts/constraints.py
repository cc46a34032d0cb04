"""Writes constraints.txt anew: the newest versions that fit pyproject.toml, resolved in an empty environment.

Names and versions only: no address and no path of the machine that resolved them may enter the repository.
"""

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAD = "# The exact versions that `make` installs; names and versions only. Written by `make constraints`.\n"


def main() -> None:
    """Resolves, freezes, and keeps the lines that are a name and a version."""
    with tempfile.TemporaryDirectory() as scratch:
        venv.create(scratch, with_pip=True)
        pip = [f"{scratch}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", f"{ROOT}[dev,demo,uvloop]"], check=True)
        frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout
    pins = [line for line in frozen.splitlines() if re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!+-]+", line)]
    (ROOT / "constraints.txt").write_text(HEAD + "".join(f"{pin}\n" for pin in pins))
    print(f"{len(pins)} versions pinned", file=sys.stderr)


if __name__ == "__main__":
    main()
