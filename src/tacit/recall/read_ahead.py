"""Codes that are read ahead by several threads when a large mind is asked for the first time.

The blocks of codes lie all over a file. One reader of a disk that has nothing of it in memory waits for one page after
the other; several wait at the same time. What they read is dropped: it lies in the system's memory then, where the one
who needs it finds it. Where it lay there already, little is lost.
"""

from __future__ import annotations

import contextlib
import threading

from tacit.errors import TacitError
from tacit.recall.code_blocks import read_block, shares_of_blocks
from tacit.stores.port import Store

_READERS = 4


def read_ahead(store: Store, mind: bytes, model: str) -> None:
    """Begin to read; nobody need wait for it."""
    with store.snapshot() as snapshot:
        shares = shares_of_blocks(snapshot, mind, model, _READERS)
    for share in shares[1:]:  # whoever needs them begins with the first itself
        with contextlib.suppress(RuntimeError):  # no room for another thread: it goes without
            threading.Thread(
                target=_read, args=(store, mind, model, share), name="tacit-read-ahead", daemon=True
            ).start()


def _read(store: Store, mind: bytes, model: str, blocks: list[int]) -> None:
    with contextlib.suppress(TacitError):  # the store is being closed, or cannot be read, which others will say
        for block in blocks:
            with store.snapshot() as snapshot:
                read_block(snapshot, mind, model, block)
