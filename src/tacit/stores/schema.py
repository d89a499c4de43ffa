"""The tables, defined once for every database.

Three classes of tables, never mixed (``Table.info["class"]``):

- *journal*: what happened. Nothing else is needed to rebuild the rest.
- *view*: a deterministic fold of the journal. Can be dropped and replayed to the same digest.
- *operational*: heads, consumer offsets, keys; and caches of what learning has read out of episodes. Not replayed.

``mind`` comes first in every primary key: it is the unit of sharding. A *position* is an event's place in its mind's
journal as this store received it. ``since`` and ``until`` are positions too: a row of a versioned view was true from
``since`` on and stopped being true at ``until`` (None: it still is), which is what reading the past needs.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    select,
    text,
)
from sqlalchemy.types import TypeEngine

SCHEMA_REVISION = "0004"
APPLICATION_ID = 0x54414349  # "TACI"

metadata = MetaData()

TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that both databases compare and order by its UTF-8 bytes, and fold in case for ASCII letters only."""

TableClass = Literal["journal", "view", "operational"]


def _table(
    name: str, table_class: TableClass, *parts: Column[object] | Index | UniqueConstraint, with_rowid: bool = False
) -> Table:
    return Table(name, metadata, *parts, info={"class": table_class}, sqlite_with_rowid=with_rowid)


def _key(name: str, kind: TypeEngine[Any] | None = None) -> Column[object]:
    return Column(name, kind or LargeBinary(), primary_key=True, nullable=False)


def _id(name: str, *, optional: bool = False) -> Column[object]:
    return Column(name, LargeBinary(), nullable=optional)


def _number(name: str, *, optional: bool = False) -> Column[object]:
    return Column(name, BigInteger(), nullable=optional)


def _text(name: str, *, optional: bool = False) -> Column[object]:
    return Column(name, TEXT, nullable=optional)


def _where(condition: str) -> dict[str, Any]:
    """That an index holds only some rows."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


# ── journal ──────────────────────────────────────────────────────────────────────────────────────────────────────────

event = _table(
    "event",
    "journal",
    _key("mind"),
    _key("position", BigInteger()),
    _id("origin"),
    _number("sequence"),
    _id("id"),
    _number("clock"),
    _text("kind"),
    _text("actor"),
    _number("occurred_at"),
    _number("recorded_at"),
    Column("version", SmallInteger(), nullable=False),
    _id("causation", optional=True),
    _id("digest"),
    _id("previous"),
    _id("hash"),
    UniqueConstraint("mind", "id", name="event_id"),
    UniqueConstraint("mind", "origin", "sequence", name="event_chain"),
    # no view tells of these, and erasing an episode must find them
    Index("event_resumed", "mind", "causation", **_where("kind = 'episode.resumed'")),
)

payload = _table(
    "payload",
    "journal",
    _key("mind"),
    _key("position", BigInteger()),
    _id("salt"),
    _id("body"),
    with_rowid=True,  # its rows are long: in one tree with their keys they took 17 % more room, 10 % more time
)

checkpoint = _table(
    "checkpoint",
    "journal",
    _key("mind"),
    _key("origin"),
    _key("last", BigInteger()),
    _number("first"),
    _id("head"),
    _id("root"),
    _number("clock"),
    _number("signed_at"),
    _id("signature"),
)

# ── views ────────────────────────────────────────────────────────────────────────────────────────────────────────────

mind = _table(
    "mind",
    "view",
    _key("id"),
    _text("tenant"),
    _text("name"),
    _id("secret"),
    _number("created_at"),
    UniqueConstraint("tenant", "name", name="mind_name"),
)

episode = _table(
    "episode",
    "view",
    _key("mind"),
    _key("id"),
    _key("since", BigInteger()),
    _number("until", optional=True),
    _text("status"),
    _text("description"),
    _text("task_type"),
    _text("domain"),
    _text("source_id"),
    _number("started_at"),
    _number("ended_at", optional=True),
    _number("opened"),
    _number("task_at"),
    _number("outcome_at", optional=True),
    _text("folded", optional=True),  # the description for searches; None when it is ASCII
    Index(
        "episode_current",
        "mind",
        "started_at",
        **_where("until IS NULL"),
    ),
)

step = _table(
    "step",
    "view",
    _key("mind"),
    _key("episode"),
    _key("number", BigInteger()),
    _number("position"),
    _text("tool"),
    _text("status"),
    _number("latency_us", optional=True),
    _number("total_bytes"),
)

tag = _table(
    "tag",
    "view",
    _key("mind"),
    _key("tag", TEXT),
    _key("episode"),
    _key("since", BigInteger()),
    _number("until", optional=True),
    Index("tag_episode", "mind", "episode"),
)

relation = _table(
    "relation",
    "view",
    _key("mind"),
    _key("episode"),
    _key("kind", TEXT),
    _key("target"),
    _key("since", BigInteger()),
    _number("until", optional=True),
    Index("relation_target", "mind", "target"),
)

handoff = _table(
    "handoff",
    "view",
    _key("mind"),
    _key("episode"),
    _key("position", BigInteger()),
    _id("id"),
    _number("number"),
)

reflection = _table(
    "reflection",
    "view",
    _key("mind"),
    _key("episode"),
    _key("position", BigInteger()),
    _id("id"),
)

memory = _table(
    "memory",
    "view",
    _key("mind"),
    _key("since", BigInteger()),
    _number("until", optional=True),
    _id("id"),
    _text("kind"),
    _text("text"),
    _text("user"),
    _text("session"),
    _text("agent"),
    _text("speaker"),
    _text("subject"),
    _text("source_id"),
    _number("recorded_at"),
    _number("occurred_at", optional=True),
    _number("valid_from", optional=True),
    _number("valid_to", optional=True),
    _number("importance", optional=True),
    _text("ending"),
    _id("superseded_by", optional=True),
    Index("memory_id", "mind", "id"),
    Index("memory_session", "mind", "session", "user", "since", "until"),
    Index("memory_user", "mind", "user", "since"),
    Index("memory_source", "mind", "source_id", **_where("source_id <> '' AND until IS NULL")),
    Index("memory_forgotten", "mind", "until", **_where("ending = 'forgotten'")),
    Index("memory_subject", "mind", "subject", **_where("subject <> '' AND until IS NULL")),
    Index("memory_ended", "mind", "until", "since", **_where("until IS NOT NULL")),
    Index("memory_superseded", "mind", "superseded_by", **_where("superseded_by IS NOT NULL")),
    with_rowid=True,
)

erasure = _table(
    "erasure",
    "view",
    _key("mind"),
    _key("position", BigInteger()),
    _id("id"),
    _id("request"),
)

tombstone = _table(
    "tombstone",
    "view",
    _key("mind"),
    _key("mark"),
    _number("position"),
)

derived_from = _table(
    "derived_from",
    "view",
    _key("mind"),
    _key("derived"),
    _key("source"),
    Index("derived_from_source", "mind", "source"),
)

contribution = _table(
    "contribution",
    "view",
    _key("mind"),
    _key("episode"),
    _number("position"),
    _id("counts"),
)

statistic = _table(
    "statistic",
    "view",
    _key("mind"),
    _key("key", TEXT),
    _number("count"),
)

exposure = _table(
    "exposure",
    "view",
    _key("mind"),
    _key("id"),
    _number("position"),
    _id("episode", optional=True),
    _text("outcome", optional=True),
    _number("judged_at", optional=True),
    Index("exposure_episode", "episode", "mind"),
)

draw = _table(
    "draw",
    "view",
    _key("mind"),
    _key("item", TEXT),
    _key("exposure"),
    _number("shown"),
    _number("chance"),
)

demotion = _table(
    "demotion",
    "view",
    _key("mind"),
    _key("item", TEXT),
    _key("position", BigInteger()),
)

# ── operational ──────────────────────────────────────────────────────────────────────────────────────────────────────

head = _table(
    "head",
    "operational",
    _key("mind"),
    _number("position"),
    _number("clock"),
    _number("recorded_at"),
    _id("origin"),
    _number("sequence"),
    _id("hash"),
)

consumer = _table(
    "consumer",
    "operational",
    _key("mind"),
    _key("name", TEXT),
    _number("position"),
    _number("epoch"),
    _text("holder"),
    _number("expires_at"),
)

lesson = _table(
    "lesson",
    "operational",
    _key("mind"),
    _key("episode"),
    _key("since", BigInteger()),
    _number("until", optional=True),
    _id("body"),
    Index("lesson_since", "mind", "since"),
    Index("lesson_until", "mind", "until", "since"),
    with_rowid=True,
)

book = _table(
    "book",
    "operational",
    _key("mind"),
    _key("position", BigInteger()),
    _number("at"),
    _number("episodes"),
    _id("body"),
    with_rowid=True,
)

fit = _table(
    "fit",
    "operational",
    _key("mind"),
    _key("position", BigInteger()),
    _number("episodes"),
    _id("body"),
    with_rowid=True,
)

forecast = _table(
    "forecast",
    "operational",
    _key("mind"),
    _key("episode"),
    _number("position"),
    _text("task_type"),
    _text("domain"),
    _number("chance", optional=True),
    _number("prior"),
    _number("success"),
    _number("steps"),
    _number("hits"),
    Index("forecast_position", "mind", "position"),
)

vector = _table(
    "vector",
    "operational",
    _key("mind"),
    _key("model", TEXT),
    _key("owner"),
    _number("since"),
    _id("body"),
    Index("vector_since", "mind", "model", "since"),
    with_rowid=True,
)

memory_use = _table(
    "memory_use",
    "operational",
    _key("mind"),
    _key("id"),
    _number("uses"),
    _number("last_at"),
)

counter = _table(
    "counter",
    "operational",
    _key("name", TEXT),
    _number("count"),
)

text_space = _table(
    "text_space",
    "operational",
    _key("mind"),
    _number("space"),
    _number("documents"),
    _number("terms"),
    _number("last"),
    _number("epoch"),
)
"""A mind's part of the index of words, which is made otherwise in each database; see ``text_index.Space``.

Its row stays also when all that the mind had is erased: a further mind must not get the same number.
"""

memory_vector = _table(
    "memory_vector",
    "operational",
    _key("mind"),
    _key("model", TEXT),
    _key("number", BigInteger()),
    _id("body"),
    with_rowid=True,  # its rows are long
)

code = _table(
    "code",
    "operational",
    _key("mind"),
    _key("model", TEXT),
    _key("block", BigInteger()),
    _number("last"),
    _number("revision"),
    _number("width"),
    _number("size"),
    _id("body"),
    Index("code_revision", "mind", "model", "revision"),
    with_rowid=True,  # its rows are long
)

node = _table(
    "node",
    "operational",
    _key("origin"),
    _id("secret"),
    _number("created_at"),
    _number("retired_at", optional=True),
)


revision = Table(
    "alembic_version", metadata, Column("version_num", TEXT, primary_key=True), info={"class": "operational"}
)

whole_store = select(revision.c.version_num).with_for_update()
"""Read first by whoever changes what belongs to no single mind (keys, names of minds): one at a time, everywhere."""


def tables(table_class: TableClass) -> list[Table]:
    """The tables of one class, in the order in which they are defined."""
    return [table for table in metadata.sorted_tables if table.info["class"] == table_class]
