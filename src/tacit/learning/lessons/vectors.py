"""Vectors of task descriptions, by which past episodes are found that are like a new task.

A vector is a cache: half-precision floats under the fingerprint of the model that made it. It belongs to an episode and
holds for the newest wording of its task.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import bindparam, delete, func, select

from tacit import numerics
from tacit.experience import kinds
from tacit.ids import format_id
from tacit.journal.append import Appender
from tacit.journal.consumer import Span, Taken
from tacit.journal.read import events_after, still_there
from tacit.recall.embedder import TextEmbedder, ask
from tacit.recall.former import Kind
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

_log = logging.getLogger("tacit.learning.lessons.vectors")
BEGIN_SECONDS = 3.0
"""Nothing is embedded unasked so soon after the store was opened: a short command would have to wait for it."""
_GLANCE_SECONDS = 0.1
"""So often it is looked whether an answer is still wanted."""
_SHARE = 128
"""Episodes that are embedded in one go: nobody should wait long for their turn, and the model's memory stays small."""

_Embedded: TypeAlias = tuple[bytes, int, bytes | None]
"""An episode, the position of its event, and its vector, unless the embedder refused it."""

_vector, _episode = schema.vector, schema.episode
_KINDS = frozenset({kinds.EPISODE_COMPLETED, kinds.EPISODE_RECORDED, kinds.EPISODE_UPDATED})
_description = select(_episode.c.description).where(
    _episode.c.mind == bindparam("mind"), _episode.c.id == bindparam("id"), _episode.c.until.is_(None)
)
_drop = delete(_vector).where(
    _vector.c.mind == bindparam("of"), _vector.c.model == bindparam("by"), _vector.c.owner == bindparam("which")
)
_next_model = select(func.min(_vector.c.model)).where(
    _vector.c.mind == bindparam("mind"), _vector.c.model > bindparam("after")
)
_since = (
    select(_vector.c.owner, _vector.c.since, _vector.c.body)
    .where(
        _vector.c.mind == bindparam("mind"),
        _vector.c.model == bindparam("model"),
        _vector.c.since > bindparam("after"),
        _vector.c.since <= bindparam("position"),
    )
    .order_by(_vector.c.since.desc())
    .limit(bindparam("most"))
)
_any = (
    select(_vector.c.since).where(_vector.c.mind == bindparam("mind"), _vector.c.model == bindparam("model")).limit(1)
)


TASKS = Kind(_vector, _vector.c.owner, "vectors")
"""What former embedders have left behind is removed as the kind of vectors that this is."""


def vectors_kept_as(embedder: TextEmbedder) -> str:
    """The name under which it is kept how far an embedder has come: another one begins with the oldest episode."""
    return f"{Vectors.name} {embedder.fingerprint}"


class Vectors:
    """Embeds the task of every finished episode. Not part of a replay: a vector is a cache of what a model said.

    A task that the embedder refuses gets no vector: it is found by its words alone.
    """

    name = "vectors"

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder
        self.kept_as = vectors_kept_as(embedder)
        self._begin = time.monotonic() + BEGIN_SECONDS

    def take(self, snapshot: Snapshot, mind: bytes, span: Span) -> Taken | None:
        """The vectors of the next batch of finished episodes; put off while somebody writes a burst."""
        if not span.hurried and (span.busy or time.monotonic() < self._begin):
            return None
        most = min(span.most, _SHARE)
        events = events_after(snapshot, mind, span.position, most, _KINDS)
        position = events[-1].position if len(events) == most else span.head
        last: dict[bytes, int] = {}
        for event in events:
            episode = event.id if event.kind == kinds.EPISODE_RECORDED else event.causation
            if episode is not None:
                last[episode] = event.position
        found = [(id, at, row[0]) for id, at in last.items() if (row := snapshot.row(_description, mind=mind, id=id))]
        if not found:
            return Taken(position)
        return Taken(position, think=partial(self._embed, found, span.stopped))

    def _embed(self, found: Sequence[tuple[bytes, int, str]], stopped: Callable[[], bool]) -> list[_Embedded] | None:
        """The vectors of episodes, from their ids, positions and descriptions; None when nobody wants them any more."""
        numerics.prepare()
        answer = ask(self._embedder, [text for _, _, text in found])
        while not wait([answer], _GLANCE_SECONDS).done:
            if stopped():
                return None
        rows = []
        for (id, at, _), vector in zip(found, answer.result(), strict=True):
            rows.append((id, at, None if vector is None else vector.astype("<f2").tobytes()))
            if vector is None:
                _log.warning("the embedder refuses the task of an episode", extra={"episode": format_id(id)})
        return rows

    def apply(self, appender: Appender, mind: bytes, effects: Sequence[_Embedded]) -> None:
        transaction, model = appender.transaction, self._embedder.fingerprint
        positions = [at for _, at, _ in effects]
        there = still_there(transaction, mind, min(positions), max(positions))  # not what was erased meanwhile
        for owner, at, body in effects:
            transaction.execute(_drop, of=mind, by=model, which=owner)
            if at in there and body is not None:
                transaction.insert(_vector, ((mind, model, owner, at, body),))

    def close(self) -> None:
        """Nothing is held: the embedder is the process's."""


def forget_vectors(transaction: Transaction, mind: bytes, owner: bytes) -> int:
    """Remove the vectors of an episode; how many there were. Erasing calls this in its transaction."""
    return sum(transaction.execute(_drop, of=mind, by=model, which=owner) for model in models_of(transaction, mind))


def models_of(snapshot: Snapshot, mind: bytes) -> list[str]:
    """The fingerprints of the models that made vectors of a mind; one look into the index for each."""
    found: list[str] = []
    while (row := snapshot.row(_next_model, mind=mind, after=found[-1] if found else "")) and row[0] is not None:
        found.append(row[0])
    return found


def has_vectors(snapshot: Snapshot, mind: bytes, model: str) -> bool:
    """Whether there is any vector of a mind by the model of that fingerprint."""
    return snapshot.row(_any, mind=mind, model=model) is not None


def read_vectors(
    snapshot: Snapshot, mind: bytes, model: str, *, after: int, position: int, most: int
) -> tuple[list[bytes], list[int], NDArray[numpy.float16]]:
    """Up to ``most`` of the newest vectors that belong to events after one position and up to another.

    Owners, positions, and the vectors as they are kept, float16 (owners, dimension). Should the model of that name have
    changed its dimension, the older vectors are left out.
    """
    import numpy

    rows = snapshot.rows(_since, mind=mind, model=model, after=after, position=position, most=most)
    rows = [row for row in rows if len(row[2]) == len(rows[0][2])]
    whole = numpy.frombuffer(b"".join(bytes(row[2]) for row in rows), dtype="<f2")
    whole = whole.reshape(len(rows), len(rows[0][2]) // 2 if rows else 0)
    return [bytes(row[0]) for row in rows], [int(row[1]) for row in rows], whole.astype(numpy.float16, copy=False)
