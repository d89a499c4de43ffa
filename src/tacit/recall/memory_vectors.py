"""Vectors of memories, by which those are found that mean what is asked.

A vector is a cache: half-precision floats under the fingerprint of the model that made it. It belongs to one wording of
a memory, whose number it has. Beside it stands its code (see ``code_blocks``), by which it is found.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import wait
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import BindParameter, Delete, bindparam, delete, select

from tacit import numerics
from tacit.experience.memory.fold import MemoryRow
from tacit.experience.views import NOW
from tacit.ids import format_id
from tacit.journal.append import Appender
from tacit.journal.consumer import Span, Taken
from tacit.recall.code_blocks import coded_models, forget_codes, put_codes
from tacit.recall.codes import records_of
from tacit.recall.embedder import TextEmbedder, ask
from tacit.recall.wording import wording
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from tacit.recall.embedder import Vector

_log = logging.getLogger("tacit.recall.memory_vectors")
NAME = "memory-vectors"
BEGIN_SECONDS = 3.0
"""Nothing is embedded unasked so soon after the store was opened: a short command would have to wait for it."""
_GLANCE_SECONDS = 0.1
"""So often it is looked whether an answer is still wanted."""
_SHARE = 128
"""Memories that are embedded in one go: nobody should wait long for their turn, and the model's memory stays small."""
READ_AT_ONCE = 128
"""Vectors that one statement reads or removes."""

_Embedded: TypeAlias = "tuple[list[MemoryRow], list[Vector | None]]"

_memory, _vector = schema.memory, schema.memory_vector
_after = (
    select(*_memory.c)
    .where(_memory.c.mind == bindparam("mind"), _memory.c.since > bindparam("after"))
    .order_by(_memory.c.since)
    .limit(bindparam("most"))
)
_there = select(_memory.c.since).where(
    _memory.c.mind == bindparam("mind"),
    _memory.c.since >= bindparam("first"),
    _memory.c.since <= bindparam("last"),
)
_PLACES = tuple(f"number{place}" for place in range(READ_AT_ONCE))
_some: list[BindParameter[int]] = [bindparam(name) for name in _PLACES]
_read = select(_vector.c.number, _vector.c.body).where(
    _vector.c.mind == bindparam("mind"), _vector.c.model == bindparam("model"), _vector.c.number.in_(_some)
)
_drop = delete(_vector).where(
    _vector.c.mind == bindparam("of"), _vector.c.model == bindparam("by"), _vector.c.number.in_(_some)
)
_alone = select(schema.head.c.position).where(schema.head.c.mind == bindparam("mind")).with_for_update()
"""Read first by whoever changes vectors and codes: one at a time on a mind, also where others may write it."""
_consumer = schema.consumer
_reached = select(_consumer.c.name, _consumer.c.position).where(
    _consumer.c.mind == bindparam("mind"), _consumer.c.name.startswith(f"{NAME} ", autoescape=True)
)


def memory_vectors_kept_as(model: str) -> str:
    """The name under which it is kept how far the model of a fingerprint has come: another begins with the oldest."""
    return f"{NAME} {model}"


class MemoryVectors:
    """Embeds every wording of every memory. Not part of a replay: a vector is a cache of what a model said.

    A text that the embedder refuses gets no vector: it is found by its words alone.
    """

    name = NAME

    def __init__(self, embedder: TextEmbedder) -> None:
        self._embedder = embedder
        self.kept_as = memory_vectors_kept_as(embedder.fingerprint)
        self._begin = time.monotonic() + BEGIN_SECONDS

    def take(self, snapshot: Snapshot, mind: bytes, span: Span) -> Taken | None:
        """The vectors of the next batch of memories; put off while somebody writes a burst."""
        if not span.hurried and (span.busy or time.monotonic() < self._begin):
            return None
        most = min(span.most, _SHARE)
        rows = [MemoryRow(*row) for row in snapshot.rows(_after, mind=mind, after=span.position, most=most)]
        position = rows[-1].since if len(rows) == most else span.head
        rows = [row for row in rows if row.until is None or row.until > row.since]  # the others never held
        return Taken(position, think=partial(self._embed, rows, span.stopped)) if rows else Taken(position)

    def _embed(self, rows: list[MemoryRow], stopped: Callable[[], bool]) -> _Embedded | None:
        """The vectors of memories; None when nobody wants them any more."""
        numerics.prepare(numerics.NUMPY)
        answer = ask(self._embedder, [wording(row.text, row.speaker) for row in rows])
        while not wait([answer], _GLANCE_SECONDS).done:
            if stopped():
                return None
        vectors = answer.result()
        for row, vector in zip(rows, vectors, strict=True):
            if vector is None:
                _log.warning("the embedder refuses the text of a memory", extra={"memory": format_id(row.id)})
        return rows, vectors

    def apply(self, appender: Appender, mind: bytes, effects: _Embedded) -> None:
        import numpy

        transaction, model = appender.transaction, self._embedder.fingerprint
        rows, vectors = effects
        transaction.row(_alone, mind=mind)
        there = {
            int(row[0]) for row in transaction.rows(_there, mind=mind, first=rows[0].since, last=rows[-1].since)
        }  # not what was erased meanwhile
        kept = [(row, vector) for row, vector in zip(rows, vectors, strict=True) if row.since in there]
        _remove(transaction, _drop, [row.since for row, _ in kept], of=mind, by=model)
        found = [(row, vector) for row, vector in kept if vector is not None]
        if not found:
            return
        halves = numpy.array([vector for _, vector in found]).astype("<f2")
        transaction.insert(
            _vector, [(mind, model, row.since, half.tobytes()) for (row, _), half in zip(found, halves, strict=True)]
        )
        put_codes(transaction, mind, model, records_of([row for row, _ in found], halves))

    def close(self) -> None:
        """Nothing is held: the embedder is the process's."""


def read_vectors(
    snapshot: Snapshot, mind: bytes, model: str, numbers: Sequence[int], dimension: int
) -> tuple[NDArray[numpy.int64], NDArray[numpy.float16]]:
    """The vectors of memories that have one of that dimension: their numbers, and float16 (memories, dimension)."""
    import numpy

    bodies: dict[int, bytes] = {}
    for values in _shares(numbers):
        bodies.update(snapshot.rows(_read, mind=mind, model=model, **values))
    bodies = {number: body for number, body in bodies.items() if len(body) == 2 * dimension}
    vectors = numpy.frombuffer(b"".join(bodies.values()), dtype="<f2").reshape(len(bodies), dimension)
    return numpy.fromiter(bodies, dtype=numpy.int64, count=len(bodies)), vectors


def forget_memory_vectors(transaction: Transaction, mind: bytes, numbers: Sequence[int]) -> int:
    """Remove the vectors of memories and their codes, by every model; how many vectors there were. Erasing calls this
    in its transaction, with all memories that it erases: a block of codes is then rewritten once."""
    numerics.prepare(numerics.NUMPY)
    transaction.row(_alone, mind=mind)
    removed = 0
    for model in coded_models(transaction, mind):
        removed += _remove(transaction, _drop, numbers, of=mind, by=model)
        forget_codes(transaction, mind, model, numbers)
    return removed


def reached_by_models(snapshot: Snapshot, mind: bytes) -> dict[str, int]:
    """How many events of a mind each model has seen, by fingerprint."""
    return {str(name)[len(NAME) + 1 :]: int(position) for name, position in snapshot.rows(_reached, mind=mind)}


def former_models(reached: Mapping[str, int], wanted: str, position: int = NOW) -> list[str]:
    """The models whose vectors answer better than those of the wanted one, the best first: those that have come
    farther by more than a hundredth. So after a change of the model the former one goes on serving until the new one
    has caught up.

    Args:
        reached: how many events each has seen, by fingerprint; see :func:`reached_by_models`.
        wanted: the fingerprint of the model that is set.
        position: as of which the mind is asked; what a model has seen beyond it does not count.
    """
    far = {model: min(events, position) for model, events in reached.items()}
    ahead = [model for model in far if far[model] - far.get(wanted, 0) > far[model] // 100]
    return sorted(ahead, key=lambda model: (-far[model], model))


def _shares(numbers: Sequence[int]) -> Iterator[dict[str, int]]:
    """Numbers as the values of a statement that takes ``READ_AT_ONCE``; the last one fills the places left."""
    for first in range(0, len(numbers), READ_AT_ONCE):
        part = [int(number) for number in numbers[first : first + READ_AT_ONCE]]
        yield dict(zip(_PLACES, chain(part, repeat(part[-1])), strict=False))


def _remove(transaction: Transaction, statement: Delete, numbers: Sequence[int], **of: Any) -> int:
    return sum(transaction.execute(statement, **of, **values) for values in _shares(numbers))
