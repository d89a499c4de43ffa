"""Lessons, vectors and the book that is written from them; exposures of advice, their draws, and demotions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _book()
    _demotion()
    _draw()
    _exposure()
    _fit()
    _forecast()
    _lesson()
    _vector()


def _book() -> None:
    op.create_table(
        "book",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("episodes", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "position"),
    )


def _demotion() -> None:
    op.create_table(
        "demotion",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("item", TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "item", "position"),
        sqlite_with_rowid=False,
    )


def _draw() -> None:
    op.create_table(
        "draw",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("item", TEXT, nullable=False),
        sa.Column("exposure", sa.LargeBinary(), nullable=False),
        sa.Column("shown", sa.BigInteger(), nullable=False),
        sa.Column("chance", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "item", "exposure"),
        sqlite_with_rowid=False,
    )


def _exposure() -> None:
    op.create_table(
        "exposure",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("episode", sa.LargeBinary(), nullable=True),
        sa.Column("outcome", TEXT, nullable=True),
        sa.Column("judged_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("mind", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index("exposure_episode", "exposure", ["episode", "mind"])


def _fit() -> None:
    op.create_table(
        "fit",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("episodes", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "position"),
    )


def _forecast() -> None:
    op.create_table(
        "forecast",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("episode", sa.LargeBinary(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("task_type", TEXT, nullable=False),
        sa.Column("domain", TEXT, nullable=False),
        sa.Column("chance", sa.BigInteger(), nullable=True),
        sa.Column("prior", sa.BigInteger(), nullable=False),
        sa.Column("success", sa.BigInteger(), nullable=False),
        sa.Column("steps", sa.BigInteger(), nullable=False),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "episode"),
        sqlite_with_rowid=False,
    )
    op.create_index("forecast_position", "forecast", ["mind", "position"])


def _lesson() -> None:
    op.create_table(
        "lesson",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("episode", sa.LargeBinary(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "episode", "since"),
    )
    op.create_index("lesson_since", "lesson", ["mind", "since"])
    op.create_index("lesson_until", "lesson", ["mind", "until", "since"])


def _vector() -> None:
    op.create_table(
        "vector",
        sa.Column("mind", sa.LargeBinary(), nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("owner", sa.LargeBinary(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mind", "model", "owner"),
    )
    op.create_index("vector_since", "vector", ["mind", "model", "since"])
