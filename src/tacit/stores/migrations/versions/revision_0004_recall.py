"""Memories, their vectors, the index of their words, and erasing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0004"
down_revision: str | None = "0003"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _memory()
    _memory_use()
    _counter()
    _vectors()
    _words()
    if context.get_context().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE text_index USING fts5(terms, content='', columnsize=0, detail=none, tokenize='ascii')"
        )
        op.execute("INSERT INTO text_index(text_index, rank) VALUES ('secure-delete', 1)")
        op.execute("CREATE VIRTUAL TABLE text_vocabulary USING fts5vocab(text_index, row)")
    else:
        _entries()
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
    op.create_index("memory_session", "memory", ["mind", "session", "user", "since", "until"])
    op.create_index("memory_user", "memory", ["mind", "user", "since"])
    for column in ("source_id", "subject"):
        held = sa.text(f"{column} <> '' AND until IS NULL")
        name = f"memory_{column.removesuffix('_id')}"
        op.create_index(name, "memory", ["mind", column], sqlite_where=held, postgresql_where=held)
    ended = sa.text("until IS NOT NULL")
    op.create_index("memory_ended", "memory", ["mind", "until", "since"], sqlite_where=ended, postgresql_where=ended)
    gone = sa.text("ending = 'forgotten'")
    op.create_index("memory_forgotten", "memory", ["mind", "until"], sqlite_where=gone, postgresql_where=gone)


def _memory_use() -> None:
    op.create_table(
        "memory_use",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "id"),
        sqlite_with_rowid=False,
    )


def _counter() -> None:
    op.create_table(
        "counter",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )


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


def _words() -> None:
    op.create_table(
        "text_space",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("space", "documents", "terms", "last", "epoch")
        ),
        sa.PrimaryKeyConstraint("mind"),
        sqlite_with_rowid=False,
    )


def _entries() -> None:
    op.create_table(
        "text_entry",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("terms", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.PrimaryKeyConstraint("mind", "number"),
    )
    op.create_index(
        "text_entry_terms",
        "text_entry",
        ["terms"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    op.create_table(
        "text_term",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("documents", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "term"),
    )


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
