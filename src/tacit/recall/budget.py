"""Hits within a budget of tokens: in the order of their rank, leaving out what no longer fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tacit.errors import InvalidInput
from tacit.recall.ranking import Ranked

_BYTES_A_TOKEN = 3
"""Models cut English into tokens of about four bytes of UTF-8, and other scripts into shorter ones: the estimate is
rather too high than too low, so what is packed fits."""


def tokens_of(text: str) -> int:
    """About how many tokens a text takes in a prompt; at least one."""
    return max(1, -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_A_TOKEN))


def packed(hits: Sequence[Ranked], budget: int, measure: Callable[[str], int] = tokens_of) -> list[Ranked]:
    """The hits that fit, best first. One that is too long is passed over, not cut: half a memory can say the opposite
    of the whole, and shorter ones behind it may still fit.

    Args:
        hits: best first.
        budget: tokens that their texts may take together.
        measure: how many tokens a text takes.

    Raises:
        InvalidInput: the budget is no positive whole number.
    """
    if not isinstance(budget, int) or isinstance(budget, bool) or budget < 1:
        raise InvalidInput(f"a budget of tokens is a positive whole number, not {budget!r}", field="budget")
    kept, left = [], budget
    for hit in hits:
        needed = measure(hit.candidate.text)
        if needed <= left:
            kept.append(hit)
            left -= needed
    return kept
