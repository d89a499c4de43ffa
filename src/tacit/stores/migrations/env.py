"""How Alembic runs the migrations: on the connection, or into the text, that ``tacit.stores.migrate`` hands in."""

from __future__ import annotations

from alembic import context

from tacit.stores import schema

handed = context.config.attributes

if context.is_offline_mode():
    context.configure(dialect_name=handed["dialect"], literal_binds=True, version_table=schema.revision.name)
else:
    context.configure(connection=handed["connection"], version_table=schema.revision.name)
context.run_migrations()  # the caller holds the transaction: all steps or none
