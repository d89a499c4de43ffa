"""Random bytes: no two pieces are ever the same, in no thread and in no process."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest

from tacit import ids
from tacit.ids import SystemEntropy


@pytest.mark.parametrize("count", [0, 1, 10, 16, 17, 5_000])
def test_as_many_random_bytes_as_were_asked_for(count: int) -> None:
    assert len(SystemEntropy().bytes(count)) == count


def test_threads_never_get_the_same_bytes() -> None:
    def take(_: int) -> list[bytes]:
        entropy = SystemEntropy()
        return [entropy.bytes(16) for _ in range(5_000)]

    with ThreadPoolExecutor(8) as threads:
        pieces = [piece for taken in threads.map(take, range(8)) for piece in taken]
    assert len(set(pieces)) == len(pieces)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_does_not_get_what_its_parent_gets() -> None:
    entropy = SystemEntropy()
    entropy.bytes(16)  # from here on some are held ready
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, b"".join(entropy.bytes(16) for _ in range(200)))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 200 * 16)
    ours = {entropy.bytes(16) for _ in range(200)}
    assert len(theirs) == 200 * 16
    assert not ours & {theirs[at : at + 16] for at in range(0, len(theirs), 16)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_that_a_signal_handler_forks_while_bytes_are_fetched_gets_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entropy, fetch, reading_writing, child = SystemEntropy(), os.urandom, os.pipe(), -1

    def forked(count: int) -> bytes:
        nonlocal child
        many = fetch(count)
        if child < 0:
            child = os.fork()
        return many

    monkeypatch.setattr(ids, "_pieces", deque())
    monkeypatch.setattr(os, "urandom", forked)
    piece = entropy.bytes(16)
    if not child:
        os.write(reading_writing[1], piece)
        os._exit(0)
    os.waitpid(child, 0)
    assert len(theirs := os.read(reading_writing[0], 16)) == 16
    assert theirs not in {piece, *(entropy.bytes(16) for _ in range(300))}
