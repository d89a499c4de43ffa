"""Memories, and erasing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _memory()
    _erasing()


def _memory() -> None:
    op.create_table(
        "memory",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        *(
            sa.Column(name, TEXT, nullable=False)
            for name in ("kind", "text", "user", "session", "agent", "speaker", "subject", "source_id")
        ),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=True)
            for name in ("occurred_at", "valid_from", "valid_to", "importance")
        ),
        sa.Column("ending", TEXT, nullable=False),
        sa.Column("superseded_by", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("mind", "since"),
    )
    op.create_index("memory_id", "memory", ["mind", "id"])
    op.create_index("memory_session", "memory", ["mind", "session", "since"])
    op.create_index("memory_user", "memory", ["mind", "user", "since"])
    for column in ("source_id", "subject"):
        held = sa.text(f"{column} <> '' AND until IS NULL")
        name = f"memory_{column.removesuffix('_id')}"
        op.create_index(name, "memory", ["mind", column], sqlite_where=held, postgresql_where=held)


def _erasing() -> None:
    op.create_table(
        "erasure",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "position"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tombstone",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "mark"),
        sqlite_with_rowid=False,
    )
    for name, table, column, condition in (
        ("memory_superseded", "memory", "superseded_by", "superseded_by IS NOT NULL"),
        ("event_resumed", "event", "causation", "kind = 'episode.resumed'"),
    ):
        held = sa.text(condition)
        op.create_index(name, table, ["mind", column], sqlite_where=held, postgresql_where=held)
