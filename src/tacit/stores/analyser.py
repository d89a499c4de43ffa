"""Which analyser made the index of words of a store, so that a store whose index is another one's says so."""

from __future__ import annotations

import threading
import time

from sqlalchemy import bindparam, select, update

from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

ANALYSER = 2
"""The number of the analyser in ``terms``: one more for every change of what it makes of any text."""
OWN = "text_index."
"""What the names of counters begin with that tell of the index of words, and count nothing."""
NAME = OWN + "analyser"
_FIRST = 1  # of stores that were made before the number was kept
_LOOK_AGAIN_SECONDS = 60.0

_counter = schema.counter
_told = select(_counter.c.count).where(_counter.c.name == bindparam("which"))
_tell = update(_counter).where(_counter.c.name == bindparam("which")).values(count=bindparam("number"))


def analyser_of(snapshot: Snapshot) -> int:
    """The number of the analyser that made the index of words."""
    row = snapshot.row(_told, which=NAME)
    return _FIRST if row is None else int(row[0])


def tell_analyser(transaction: Transaction) -> None:
    """Note that the index of words is this analyser's."""
    if not transaction.execute(_tell, which=NAME, number=ANALYSER):
        transaction.insert(_counter, ((NAME, ANALYSER),))


def of_another(snapshot: Snapshot) -> str:
    """What to tell people when the index of words was made by another analyser; empty when it is this one's."""
    number = analyser_of(snapshot)
    if number == ANALYSER:
        return ""
    said = f"the index of words was made by analyser {number}, and this version of Tacit has analyser {ANALYSER}"
    if number > ANALYSER:
        return f"{said}: words may not be found; use a newer version of Tacit"
    return f"{said}: words may not be found until 'tacit memory reindex' has made it anew"


class AnalyserWatch:
    """Tells at searches when the index is another analyser's. Safe to use from many threads.

    One that is right is looked at again after a minute only: another process may have a newer version of Tacit.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the time that is read is one that was written whole
        self._right_until = 0.0

    def said(self, snapshot: Snapshot) -> str:
        """See :func:`of_another`."""
        now = time.monotonic()
        with self._lock:
            if now < self._right_until:
                return ""
        said = of_another(snapshot)
        if not said:
            with self._lock:
                self._right_until = now + _LOOK_AGAIN_SECONDS
        return said
