"""Lines of text within a budget of tokens, for a model's prompt: what matters most is kept, the rest is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tacit.errors import InvalidInput, shown

BYTES_A_TOKEN = 3
"""Models cut English into tokens of about four bytes of UTF-8, and other scripts into shorter ones: so this estimate is
rather too high than too low, and what it allows fits."""
LEAST_TOKENS = 20
_BREAKING = {ord("\n"): r"\n", ord("\r"): r"\r", ord("\t"): r"\t", 0x2028: r"\u2028", 0x2029: r"\u2029"}
_SEEN = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | _BREAKING
"""Control characters, and what else begins a line, as they are written in most languages."""


class Line(NamedTuple):
    """A line, and how much it matters: 0 most."""

    rank: int
    text: str


def one_line(text: str) -> str:
    """The text on one line, its control characters made visible: what an agent once called a tool must not pass for
    further lines of advice."""
    return text.translate(_SEEN)


def tokens_of(text: str) -> int:
    """About how many tokens a text takes in a prompt."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_A_TOKEN)


def check_budget(tokens: object) -> None:
    """Refuse what is no budget, or one in which nothing can be said.

    Raises:
        InvalidInput: it is no whole number, or below 20.
    """
    if isinstance(tokens, bool) or not isinstance(tokens, int):
        raise InvalidInput(f"a budget is a whole number of tokens, not {shown(tokens)}", field="tokens")
    if tokens < LEAST_TOKENS:
        raise InvalidInput(f"{tokens} tokens are too few to say anything; allow {LEAST_TOKENS} or more", field="tokens")


def within(lines: Sequence[Line], tokens: int) -> str:
    """The lines that fit into a budget, in their order. Those that matter most go first into it, earlier ones before
    later ones of the same rank; the first that does not fit ends it.

    Raises:
        InvalidInput: the budget is no whole number, or below 20 tokens, in which nothing can be said.
    """
    check_budget(tokens)
    lines = [line._replace(text=one_line(line.text)) for line in lines]
    kept: set[int] = set()
    for place, line in sorted(enumerate(lines), key=lambda one: (one[1].rank, one[0])):
        cost = tokens_of(line.text + "\n")
        if cost > tokens:
            break
        tokens -= cost
        kept.add(place)
    return "\n".join(line.text for place, line in enumerate(lines) if place in kept)
