"""Memories, their vectors and the codes of these."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision: str | None = "0003"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _memory()
    _vectors()


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
    op.create_index("memory_source", "memory", ["mind", "source_id"], **_where("source_id <> '' AND until IS NULL"))
    op.create_index("memory_subject", "memory", ["mind", "subject"], **_where("subject <> '' AND until IS NULL"))
    op.create_index("memory_ended", "memory", ["mind", "until", "since"], **_where("until IS NOT NULL"))


def _vectors() -> None:
    """Of memories, and the codes by which they are found."""
    op.create_table(
        "memory_vector",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "model", "number"),
    )
    op.create_table(
        "code",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("model", TEXT, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("block", "last", "revision", "width", "size")),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "model", "block"),
    )
    op.create_index("code_revision", "code", ["mind", "model", "revision"])


def _where(condition: str) -> dict[str, sa.TextClause]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
