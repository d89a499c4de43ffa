"""Arrays of numbers as bytes, so that a fitted model can be kept: type, shape and data; nothing that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """An array; numbers are kept with the least significant byte first."""

    type: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def array(self) -> NDArray[Any]:
        """The numbers, not to be written to."""
        import numpy

        return numpy.frombuffer(self.data, dtype=self.type).reshape(self.shape)


def pack(array: NDArray[Any]) -> Packed:
    """An array as bytes."""
    import numpy

    little = numpy.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return Packed(little.dtype.str, little.shape, little.tobytes())


def pack_counts(counts: NDArray[numpy.int64]) -> Packed:
    """Counts (whole numbers, none below 0) in the narrowest type that holds them."""
    import numpy

    most = int(counts.max()) if len(counts) else 0
    return pack(counts.astype(numpy.min_scalar_type(most)))


def pack_floats(values: NDArray[numpy.float64]) -> Packed:
    """Floats in single precision: more digits than these figures mean."""
    import numpy

    return pack(values.astype(numpy.float32))
