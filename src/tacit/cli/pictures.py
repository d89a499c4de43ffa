"""Small pictures made of characters."""

from __future__ import annotations

_BAR, _SCALE = 30, 41  # characters


def bar(share: float) -> str:
    """A share from 0 to 1 as the length of a bar."""
    return "█" * round(share * _BAR)


def span(low: float, value: float, high: float) -> str:
    """An interval on a scale from −1 to 1, with the value in it and a line at 0: ``······│··├──●──┤·····``."""
    first, middle, last = (_place(each) for each in (low, value, high))
    cells = ["─" if first <= place <= last else "·" for place in range(_SCALE)]
    zero = _place(0.0)
    cells[zero] = "┼" if cells[zero] == "─" else "│"
    cells[first], cells[last] = "├", "┤"
    cells[middle] = "●"
    return "".join(cells)


def _place(value: float) -> int:
    return round((min(1.0, max(-1.0, value)) + 1) / 2 * (_SCALE - 1))
