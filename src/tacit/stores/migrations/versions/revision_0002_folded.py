"""Descriptions are also kept folded, so that a search ignores letter case in every script."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from tacit.stores.folding import folded_or_none

revision = "0002"
down_revision: str | None = "0001"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_BATCH = 1_000

_episode = sa.table(
    "episode",
    sa.column("mind", sa.LargeBinary()),
    sa.column("id", sa.LargeBinary()),
    sa.column("since", sa.BigInteger()),
    sa.column("description", TEXT),
    sa.column("folded", TEXT),
)
_key = sa.tuple_(_episode.c.mind, _episode.c.id, _episode.c.since)
_page = sa.select(*_episode.c).order_by(*_key).limit(_BATCH)
_fill = (
    _episode.update()
    .where(_key == sa.tuple_(sa.bindparam("of"), sa.bindparam("which"), sa.bindparam("at")))
    .values(folded=sa.bindparam("text"))
)


def upgrade() -> None:
    op.add_column("episode", sa.Column("folded", TEXT, nullable=True))
    if not context.is_offline_mode():  # SQL alone cannot fold
        _fold_all(op.get_bind())


def _fold_all(connection: sa.Connection) -> None:
    rows = connection.execute(_page).all()
    while rows:
        values = [
            {"of": mind, "which": id, "at": since, "text": text}
            for mind, id, since, description, _ in rows
            if (text := folded_or_none(description)) is not None
        ]
        if values:
            connection.execute(_fill, values)
        rows = connection.execute(_page.where(_key > sa.tuple_(*rows[-1][:3]))).all()
