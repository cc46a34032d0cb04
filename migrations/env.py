"""Runs the migrations on the connection, or for the SQL script, that `saga.store.migrate` hands over.

Rule: the version table lives in the engine's own schema, so that several engines can share a database.
"""

from alembic import context

from saga.store.schema import metadata

config = context.config
schema: str = config.attributes["schema"]


def run() -> None:
    """Migrate online on the given connection, or write the script."""
    offline = context.is_offline_mode()
    context.configure(
        connection=None if offline else config.attributes["connection"],
        dialect_name="postgresql" if offline else None,
        literal_binds=offline,
        target_metadata=metadata(schema),
        version_table_schema=schema,
        include_schemas=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
