"""The tables of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _checkpoint()
    _consumer()
    _contribution()
    _derived_from()
    _episode()
    _event()
    _handoff()
    _head()
    _mind()
    _node()
    _payload()
    _reflection()
    _relation()
    _statistic()
    _step()
    _tag()


def _checkpoint() -> None:
    op.create_table(
        "checkpoint",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("origin", sa.LargeBinary(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("clock", sa.BigInteger(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "origin", "last"),
        sqlite_with_rowid=False,
    )


def _consumer() -> None:
    op.create_table(
        "consumer",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("holder", TEXT, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "name"),
        sqlite_with_rowid=False,
    )


def _contribution() -> None:
    op.create_table(
        "contribution",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("episode", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "episode"),
        sqlite_with_rowid=False,
    )


def _derived_from() -> None:
    op.create_table(
        "derived_from",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("derived", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "derived", "source"),
        sqlite_with_rowid=False,
    )
    op.create_index("derived_from_source", "derived_from", ["mind", "source"], unique=False)


def _episode() -> None:
    op.create_table(
        "episode",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("task_type", TEXT, nullable=False),
        sa.Column("domain", TEXT, nullable=False),
        sa.Column("source_id", TEXT, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("task_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("mind", "id", "since"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "episode_current",
        "episode",
        ["mind", "started_at"],
        unique=False,
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )


def _event() -> None:
    op.create_table(
        "event",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("clock", sa.BigInteger(), nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("causation", sa.LargeBinary(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "position"),
        sa.UniqueConstraint("mind", "id", name="event_id"),
        sa.UniqueConstraint("mind", "origin", "sequence", name="event_chain"),
        sqlite_with_rowid=False,
    )


def _handoff() -> None:
    op.create_table(
        "handoff",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("episode", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "episode", "position"),
        sqlite_with_rowid=False,
    )


def _head() -> None:
    op.create_table(
        "head",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("clock", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.LargeBinary(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind"),
        sqlite_with_rowid=False,
    )


def _mind() -> None:
    op.create_table(
        "mind",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("tenant", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "name", name="mind_name"),
        sqlite_with_rowid=False,
    )


def _node() -> None:
    op.create_table(
        "node",
        sa.Column("origin", sa.LargeBinary(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("origin"),
        sqlite_with_rowid=False,
    )


def _payload() -> None:
    op.create_table(
        "payload",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "position"),
        sqlite_with_rowid=True,
    )


def _reflection() -> None:
    op.create_table(
        "reflection",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("episode", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "episode", "position"),
        sqlite_with_rowid=False,
    )


def _relation() -> None:
    op.create_table(
        "relation",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("episode", sa.LargeBinary(), nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("target", sa.LargeBinary(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("mind", "episode", "kind", "target", "since"),
        sqlite_with_rowid=False,
    )
    op.create_index("relation_target", "relation", ["mind", "target"], unique=False)


def _statistic() -> None:
    op.create_table(
        "statistic",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "key"),
        sqlite_with_rowid=False,
    )


def _step() -> None:
    op.create_table(
        "step",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("episode", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("tool", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("latency_us", sa.BigInteger(), nullable=True),
        sa.Column("total_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "episode", "number"),
        sqlite_with_rowid=False,
    )


def _tag() -> None:
    op.create_table(
        "tag",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("tag", TEXT, nullable=False),
        sa.Column("episode", sa.LargeBinary(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("mind", "tag", "episode", "since"),
        sqlite_with_rowid=False,
    )
    op.create_index("tag_episode", "tag", ["mind", "episode"], unique=False)
    # ### end Alembic commands ###
