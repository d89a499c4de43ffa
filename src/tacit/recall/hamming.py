"""The codes that differ from a given one in the fewest bits, by comparing all of them.

Where there are many, FAISS compares them, in one thread; where few are meant, they are picked first and numpy compares
only those. Neither keeps the interpreter from other threads meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tacit.stores.forking import GATE

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Codes: TypeAlias = NDArray[numpy.uint64]
    Meant: TypeAlias = NDArray[numpy.bool_]
    Places: TypeAlias = NDArray[numpy.intp]

MANY = 65_536
"""Codes that are worth loading FAISS for. numpy compares so many in half a millisecond."""
FEW = 16
"""When one in so many is meant, or fewer, those are picked first. Else all are compared, which is quicker, and from the
nearest those are taken that are meant."""
_SLACK = 2
"""So many times as many are taken from the nearest as would hold enough that are meant, were they evenly spread."""
_STRIP = 16_384
"""Codes that numpy compares at a time: what is computed for them stays in the processor's cache."""


def nearest(codes: Codes, code: NDArray[numpy.uint64], meant: Meant | None, most: int) -> Places:
    """The places of up to ``most`` codes with the fewest bits other than those of ``code``, nearest first.

    Args:
        codes: uint64, (codes, words of a code), contiguous.
        meant: which of them may be found; None for all.
    """
    import numpy

    many = len(codes)
    count = many if meant is None else int(numpy.count_nonzero(meant))
    most = min(most, count)
    if most == 0:
        return numpy.zeros(0, dtype=numpy.intp)
    if many >= MANY and FEW * count > many:
        enough = most if meant is None else min(many, _SLACK * most * many // count)
        places = _nearest_by_faiss(codes, code, enough)
        if meant is not None:
            places = places[meant[places]]
        if len(places) >= most:
            return places[:most]
    if meant is None:
        return _smallest(_distances(codes, code), most)
    chosen = numpy.flatnonzero(meant)
    return chosen[_smallest(_distances(codes[chosen], code), most)]


def _nearest_by_faiss(codes: Codes, code: NDArray[numpy.uint64], most: int) -> Places:
    """As :func:`nearest`, of all codes, in one pass over them."""
    import numpy

    with GATE.entered():  # a child would wait for ever for an import that has only begun
        import faiss

    distances, places = numpy.empty(most, dtype=numpy.int32), numpy.empty(most, dtype=numpy.int64)
    asked, among = code.view(numpy.uint8), codes.reshape(-1).view(numpy.uint8)
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # of this thread: one question is one thread's work, and others would outlive a fork
    try:
        faiss.hammings_knn_mc(
            faiss.swig_ptr(asked),
            faiss.swig_ptr(among),
            1,
            len(codes),
            most,
            asked.nbytes,
            faiss.swig_ptr(distances),
            faiss.swig_ptr(places),
        )
    finally:
        faiss.omp_set_num_threads(before)
    return places


def _distances(codes: Codes, code: NDArray[numpy.uint64]) -> NDArray[numpy.uint16]:
    """In how many bits each code differs."""
    import numpy

    found = numpy.empty(len(codes), dtype=numpy.uint16)
    for first in range(0, len(codes), _STRIP):
        words = codes[first : first + _STRIP].T  # a sum of whole rows is quicker than one of columns
        words = numpy.bitwise_xor(words, code[:, None], order="C")
        found[first : first + _STRIP] = numpy.bitwise_count(words).sum(axis=0, dtype=numpy.uint16)
    return found


def _smallest(distances: NDArray[numpy.uint16], most: int) -> Places:
    """The places of the ``most`` smallest distances, smallest first.

    The largest of them is found by halving: there are few distances, and to count those below one is quick.
    """
    import numpy

    low, high = int(distances.min()), int(distances.max())
    while low < high:
        middle = (low + high) // 2
        if numpy.count_nonzero(distances <= middle) >= most:
            high = middle
        else:
            low = middle + 1
    places = numpy.flatnonzero(distances <= high)
    return places[numpy.argsort(distances[places], kind="stable")[:most]]
