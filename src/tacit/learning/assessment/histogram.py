"""A histogram whose buckets grow with the value, held as integer counts, so that histograms add up exactly.

Each power of two is cut into 16 equal buckets (log-linear, as in G. Tene's HdrHistogram). A bucket is at most 1/16 of
its values wide, so its middle is within 1/32 (3.2 %) of every value in it, and so is every quantile. The number of a
bucket comes from integer arithmetic alone and is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping

_BITS = 4
_PER_OCTAVE = 1 << _BITS
RELATIVE_ERROR = 1 / (2 * _PER_OCTAVE)


def bucket_of(value: int) -> int:
    """The number of the bucket that holds a whole number of zero or more. Below 16 each value has its own."""
    if value < _PER_OCTAVE:
        return value
    shift = value.bit_length() - 1 - _BITS
    return (shift << _BITS) + (value >> shift)


def bounds_of(bucket: int) -> tuple[int, int]:
    """The lowest value in a bucket, and the lowest one above it."""
    if bucket < _PER_OCTAVE:
        return bucket, bucket + 1
    shift = (bucket >> _BITS) - 1
    mantissa = (bucket & (_PER_OCTAVE - 1)) + _PER_OCTAVE
    return mantissa << shift, (mantissa + 1) << shift


def middle_of(bucket: int) -> float:
    """The value that stands for all in a bucket."""
    low, high = bounds_of(bucket)
    return (low + high - 1) / 2


def value_at(position: float) -> float:
    """The value at a place on the scale of bucket numbers, between two of them if need be.

    The mean of the bucket numbers of values of 16 and more, read back here, is within 10 % of their geometric mean: a
    few very large values do not pull it.
    """
    whole = int(position)
    here = middle_of(whole)
    return here + (middle_of(whole + 1) - here) * (position - whole)


def rank_value(counts: Mapping[int, int], rank: int) -> float:
    """The ``rank``-th smallest value (from 1), within 3.2 %; ``counts`` must hold that many."""
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return middle_of(bucket)
    raise IndexError(f"rank {rank} of {seen} values")


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The smallest value that at least this share (0 … 1) does not exceed, within 3.2 %; None without values."""
    total = sum(counts.values())
    if total == 0:
        return None
    return rank_value(counts, max(1, -(-int(share * total * 1_000_000) // 1_000_000)))


def rounded(value: float) -> int:
    """A quantile without the digits that it does not know: a multiple of the largest 1, 2 or 5 × 10ⁿ that is at most
    half of its bucket. It is still in its bucket, and within 5 % of what was measured."""
    low, above = bounds_of(bucket_of(int(value)))
    steps = (times * 10**digits for digits in range(len(str(above))) for times in (1, 2, 5))
    step = max((step for step in steps if 2 * step <= above - low), default=1)
    return round(value / step) * step
