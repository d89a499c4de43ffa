"""Takes for consumers in a helper, which reads and thinks while the process that asks does something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from tacit.journal.consumer import EventConsumer, Span, Taken
from tacit.journal.helper import Helper
from tacit.journal.read import head_position
from tacit.stores.port import Store

Makers = Callable[[], Sequence[EventConsumer]]


class Question(msgspec.Struct, frozen=True):
    """Which consumer is to take, and what: up to ``most`` events of a mind that lie behind a position."""

    consumer: str
    mind: bytes
    position: int
    most: int


def helper_of(store: Store, consumers: Makers) -> Helper | None:
    """A helper that answers questions for these consumers, if the store can have one.

    Args:
        consumers: makes them; it can be pickled.
    """
    return Helper.of(store, partial(_answering, consumers))


def _answering(consumers: Makers, store: Store) -> Callable[[Question], Taken | None]:
    return partial(_answer, store, {one.name: one for one in consumers()})


def _answer(store: Store, consumers: dict[str, EventConsumer], asked: Question) -> Taken | None:
    """What a consumer makes of what lies behind a position now."""
    with store.snapshot() as snapshot:
        head = head_position(snapshot, asked.mind)
        span = Span(asked.position, head, asked.most, hurried=False, busy=False)
        return consumers[asked.consumer].take(snapshot, asked.mind, span)
