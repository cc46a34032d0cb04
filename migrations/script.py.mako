"""${message}.

Kind: expand | contract
"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Say what a worker of the last release sees of this."""
    schema = str(op.get_context().version_table_schema)
    ${upgrades if upgrades else "pass"}
