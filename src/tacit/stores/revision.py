"""Which schema a store has, and whether this program may use it."""

from __future__ import annotations

from sqlalchemy import select

from tacit.errors import SchemaMismatch
from tacit.stores import schema
from tacit.stores.port import Snapshot

read_revision = select(schema.revision.c.version_num)


def check_revision(snapshot: Snapshot, location: str, *, migrating: bool) -> None:
    """Refuse a schema that this program does not know.

    Args:
        migrating: any revision will do, because a migration is about to change it.

    Raises:
        SchemaMismatch: the schema is older or newer than this program.
    """
    row = snapshot.row(read_revision)
    if row is None or (row[0] != schema.SCHEMA_REVISION and not migrating):
        raise SchemaMismatch(
            f"{location} has schema {row[0] if row else 'none'}, this program knows {schema.SCHEMA_REVISION}. "
            "Run 'tacit migrate' if the store is older, or install a newer Tacit",
            path=location,
            found=row[0] if row else None,
            known=schema.SCHEMA_REVISION,
        )
