"""The code of a memory: some hundred bits of its vector, and what filters ask of it, in one fixed record.

Each bit says on which side of a plane the vector lies (Charikar, 2002, "Similarity estimation techniques from rounding
algorithms"). Vectors that point the same way differ in few bits, so a comparison of all codes finds the few hundred
memories among which are the nearest, many times faster than one of all vectors. The planes lie at random, at right
angles to each other: the signs of the numbers as they come serve as well where these are spread around zero, as those
of MiniLM are, and not at all where they are not, as counts of words.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b, shake_256
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tacit.experience.memory.fold import MemoryRow
from tacit.experience.memory.memory import RECALLED_KINDS

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Records: TypeAlias = NDArray[numpy.void]
    """Records of memories, by number; see ``record_type``."""

NAMES: Final = ("user", "session", "agent", "speaker", "subject", "source_id")
"""What a record holds as a hash of 64 bits each: enough to tell names apart, and short."""
WORD_BYTES: Final = 8
"""A code is a whole number of words of 64 bits."""
MOST_BYTES: Final = 96
"""Longer vectors have no longer codes."""


def width_of(dimension: int) -> int:
    """The bytes of a code of vectors of that dimension: a bit for each number."""
    return min(MOST_BYTES, -(-dimension // (8 * WORD_BYTES)) * WORD_BYTES)


def projected(vectors: NDArray[Any]) -> NDArray[numpy.float32]:
    """How far vectors lie from each plane, on one side or the other: (vectors, planes)."""
    import numpy

    # not "@", which would wait for a second processor: where others are at work that takes ten times as long
    found: NDArray[numpy.float32] = numpy.einsum("ij,jk->ik", vectors.astype(numpy.float32), _planes(vectors.shape[1]))
    return found


def codes_of(projections: NDArray[numpy.float32]) -> NDArray[numpy.uint64]:
    """The codes of projected vectors, one a row: uint64, (vectors, words)."""
    import numpy

    return numpy.packbits(projections > 0, axis=1, bitorder="little").view(numpy.uint64)


def likeness(codes: NDArray[numpy.uint64], projection: NDArray[numpy.float32]) -> NDArray[numpy.float32]:
    """How like codes are to a projected vector, which has lost nothing to a code of its own: much nearer to the truth
    than the bits in which two codes differ, and slower. The sum of the projection's distances, each with the sign that
    the code says; comparable among codes only.
    """
    import numpy

    parts = numpy.einsum("bi,vi->bv", projection.reshape(-1, 8), _signs())  # what each byte of a code would add
    places = codes.view(numpy.uint8).astype(numpy.intp) + numpy.arange(0, parts.size, parts.shape[1])
    found: NDArray[numpy.float32] = parts.ravel()[places].sum(axis=1)
    return found


@lru_cache(maxsize=1)
def _signs() -> NDArray[numpy.float32]:
    """The signs that each value of a byte stands for: (values, bits)."""
    import numpy

    bytes_ = numpy.arange(256, dtype=numpy.uint8)[:, None]
    return 2 * numpy.unpackbits(bytes_, axis=1, bitorder="little").astype(numpy.float32) - 1


@lru_cache(maxsize=4)
def _planes(dimension: int) -> NDArray[numpy.float32]:
    """The normals of the planes, one a column. The same on every machine and in every version: codes are kept."""
    import numpy
    from threadpoolctl import threadpool_limits

    many = 8 * width_of(dimension)
    coins = numpy.frombuffer(shake_256(b"planes").digest(dimension * many // 8), dtype=numpy.uint8)
    steps = 2.0 * numpy.unpackbits(coins).reshape(dimension, many) - 1.0
    groups = []
    with threadpool_limits(1, user_api="blas"):  # several threads would wait for one another, a hundred times as long
        for first in range(0, many, dimension):  # no more than so many can be at right angles to each other
            normals, sizes = numpy.linalg.qr(steps[:, first : first + dimension])
            groups.append(normals * numpy.sign(numpy.diagonal(sizes)))  # else the signs would be the library's choice
    return numpy.concatenate(groups, axis=1).astype(numpy.float32)


def name_hash(name: str) -> int:
    """What stands for a name in a record; 0 for none."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") if name else 0


def record_type(width: int) -> numpy.dtype[numpy.void]:
    """A record: the memory's number, when it was said or else recorded (µs since 1970 UTC), its kind as its place
    among the kinds, its names, and its code of ``width`` bytes."""
    import numpy

    return numpy.dtype(
        [
            ("number", "<i8"),
            ("moment", "<i8"),
            ("kind", "u1"),
            ("names", "<u8", (len(NAMES),)),
            ("code", "<u8", (width // WORD_BYTES,)),
        ]
    )


def records_of(rows: Sequence[MemoryRow], vectors: NDArray[Any]) -> Records:
    """The records of memories and their vectors."""
    import numpy

    found = numpy.zeros(len(rows), dtype=record_type(width_of(vectors.shape[1])))
    found["number"] = [row.since for row in rows]
    found["moment"] = [row.recorded_at if row.occurred_at is None else row.occurred_at for row in rows]
    found["kind"] = [RECALLED_KINDS.index(row.kind) for row in rows]
    found["names"] = [[name_hash(getattr(row, name)) for name in NAMES] for row in rows]
    found["code"] = codes_of(projected(vectors))
    return found


def read_records(body: bytes, width: int) -> Records:
    """The records that a block holds."""
    import numpy

    return numpy.frombuffer(body, dtype=record_type(width))
