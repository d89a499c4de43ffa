"""Vectors of task descriptions, by which past episodes are found that are like a new task.

A vector is a cache: half-precision floats under the fingerprint of the model that made it. It belongs to an episode and
holds for the newest wording of its task.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import bindparam, delete, select

from tacit.experience import kinds
from tacit.journal.append import Appender
from tacit.journal.consumer import Span, Taken
from tacit.journal.read import events_after, still_there
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

BEGIN_SECONDS = 3.0
"""Nothing is embedded unasked so soon after the store was opened: a short command would have to wait for it."""
_SHARE = 64
"""Episodes that are embedded in one go: nobody should wait long for their turn, and the model's memory stays small."""

_vector, _episode = schema.vector, schema.episode
_KINDS = frozenset({kinds.EPISODE_COMPLETED, kinds.EPISODE_RECORDED, kinds.EPISODE_UPDATED})
_description = select(_episode.c.description).where(
    _episode.c.mind == bindparam("mind"), _episode.c.id == bindparam("id"), _episode.c.until.is_(None)
)
_drop = delete(_vector).where(
    _vector.c.mind == bindparam("of"), _vector.c.model == bindparam("by"), _vector.c.owner == bindparam("which")
)
_forget = delete(_vector).where(_vector.c.mind == bindparam("of"), _vector.c.owner == bindparam("which"))
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


class TextEmbedder(Protocol):
    """An embedder, as far as learning needs one; ``tacit.models.embedders`` has them."""

    @property
    def fingerprint(self) -> str:
        """Names the model; vectors of different models are never compared."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[numpy.float32]:
        """A vector of unit length for each text."""
        ...


class Vectors:
    """Embeds the task of every finished episode. Not part of a replay: a vector is a cache of what a model said."""

    name = "vectors"

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder
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
        bodies = self._embedder.embed([text for _, _, text in found]).astype("<f2")
        return Taken(position, [(id, at, body.tobytes()) for (id, at, _), body in zip(found, bodies, strict=True)])

    def apply(self, appender: Appender, mind: bytes, effects: Sequence[tuple[bytes, int, bytes]]) -> None:
        transaction, model = appender.transaction, self._embedder.fingerprint
        positions = [at for _, at, _ in effects]
        there = still_there(transaction, mind, min(positions), max(positions))  # not what was erased meanwhile
        for owner, at, body in effects:
            transaction.execute(_drop, of=mind, by=model, which=owner)
            if at in there:
                transaction.insert(_vector, ((mind, model, owner, at, body),))


def forget_vectors(transaction: Transaction, mind: bytes, owner: bytes) -> int:
    """Remove the vectors of an episode; how many there were. Erasing calls this in its transaction."""
    return transaction.execute(_forget, of=mind, which=owner)


def read_vectors(
    snapshot: Snapshot, mind: bytes, model: str, dimension: int, *, after: int, position: int, most: int
) -> tuple[list[bytes], list[int], NDArray[numpy.float16]]:
    """Up to ``most`` of the newest vectors that belong to events after one position and up to another.

    Owners, positions, and the vectors as they are kept, float16 (owners, dimension).
    """
    import numpy

    rows = snapshot.rows(_since, mind=mind, model=model, after=after, position=position, most=most)
    whole = numpy.frombuffer(b"".join(bytes(row[2]) for row in rows), dtype="<f2").reshape(len(rows), dimension)
    return [bytes(row[0]) for row in rows], [int(row[1]) for row in rows], whole.astype(numpy.float16, copy=False)
