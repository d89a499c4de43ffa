"""Giving up what takes long: whoever works on it calls a check again and again, which raises when it is to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias, TypeVar

Check: TypeAlias = Callable[[], None]
"""Raises when work that takes long is to be given up."""
T = TypeVar("T")


def go_on() -> None:
    """The check of work that is never given up."""


def checked(items: Iterable[T], check: Check) -> Iterator[T]:
    """The items, with a check before each."""
    for item in items:
        check()
        yield item
