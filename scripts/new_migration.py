"""Begins a migration: `make migration NAME=verb_noun` writes migrations/versions/NNNN_verb_noun.py to fill in.

Migrations are written by hand, one number after another, and each says whether it expands (old and new code run on
it) or contracts (only new code does). A test compares the migrated schema with saga.store.schema.
"""

import re
import sys
from pathlib import Path

VERSIONS = Path(__file__).resolve().parents[1] / "migrations" / "versions"
TEXT = '''"""{sentence}.

Kind: expand
"""

from alembic import op

revision = "{number:04}"
down_revision = {previous!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Says what it locks, and for how long."""
    op.execute("")
'''


def main(name: str) -> None:
    """Writes the file with the next number and prints its path."""
    if not re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", name):
        sys.exit(f"{name!r} is no verb_noun: for example add_worker_lane")
    numbers = sorted(match[0] for file in VERSIONS.glob("*.py") if (match := re.match(r"\d{4}", file.name)))
    previous = numbers[-1] if numbers else None
    number = int(previous or 0) + 1
    file = VERSIONS / f"{number:04}_{name}.py"
    sentence = name.replace("_", " ").capitalize()
    file.write_text(TEXT.format(sentence=sentence, number=number, previous=previous))
    print(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)


if __name__ == "__main__":
    main(sys.argv[1])
