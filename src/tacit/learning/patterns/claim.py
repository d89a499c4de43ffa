"""What a strategy notices in one episode: that something occurred, out of the cases in which it could have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from tacit.learning.lessons.trace import Trace
from tacit.learning.patterns.pattern import Key, Strategy

ANY: Key = ("any",)
"""The case that is every episode."""


class Claim(NamedTuple):
    """``key`` occurred in a case of ``case``; whether it went well is the episode's outcome unless ``well`` says it."""

    case: Key
    key: Key
    well: bool | None = None


class Words(NamedTuple):
    """A key in words, with the tools and the condition that it speaks of."""

    text: str
    tools: tuple[str, ...] = ()
    condition: tuple[str, ...] = ()


class Finder(Protocol):
    """A strategy that finds patterns by counting."""

    @property
    def strategy(self) -> Strategy: ...

    def claims(self, trace: Trace) -> Iterator[Claim]:
        """What occurred in an episode; the same claim may come twice and counts once."""
        ...

    def owns(self, key: Key) -> bool:
        """Whether a counted key is one of this strategy's patterns."""
        ...

    def case_of(self, key: Key) -> Key:
        """The case whose episodes a key is compared within."""
        ...

    def wider(self, key: Key) -> Key | None:
        """The same thing without its condition; None for what has no condition, or is nothing without it."""
        ...

    def words(self, key: Key) -> Words:
        """The key for people."""
        ...
