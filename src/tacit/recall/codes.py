"""The code of a memory: one bit for each number of its vector, and what filters ask of it, in one fixed record.

The bit says whether the number is above zero. Vectors that point the same way differ in few bits, so a comparison of
all codes finds the few hundred memories among which are the nearest, many times faster than one of all vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tacit.experience.memory.fold import MemoryRow
from tacit.experience.memory.memory import MEMORY_KINDS

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Records: TypeAlias = NDArray[numpy.void]
    """Records of memories, by number; see ``record_type``."""

NAMES: Final = ("user", "session", "agent", "speaker", "subject", "source_id")
"""What a record holds as a hash of 64 bits each: enough to tell names apart, and short."""
WORD_BYTES: Final = 8
"""A code is a whole number of words of 64 bits; bits beyond the dimension are zero."""


def width_of(dimension: int) -> int:
    """The bytes of a code of vectors of that dimension."""
    return -(-dimension // (8 * WORD_BYTES)) * WORD_BYTES


def codes_of(vectors: NDArray[Any]) -> NDArray[numpy.uint64]:
    """The codes of vectors, one a row: uint64, (vectors, words)."""
    import numpy

    count, dimension = vectors.shape
    codes = numpy.zeros((count, width_of(dimension)), dtype=numpy.uint8)
    packed = numpy.packbits(vectors > 0, axis=1, bitorder="little")
    codes[:, : packed.shape[1]] = packed
    return codes.view(numpy.uint64)


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
    found["kind"] = [MEMORY_KINDS.index(row.kind) for row in rows]
    found["names"] = [[name_hash(getattr(row, name)) for name in NAMES] for row in rows]
    found["code"] = codes_of(vectors)
    return found


def read_records(body: bytes, width: int) -> Records:
    """The records that a block holds."""
    import numpy

    return numpy.frombuffer(body, dtype=record_type(width))
