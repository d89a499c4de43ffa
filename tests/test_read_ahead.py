"""Codes of a large mind are read by several threads when it is asked for the first time."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from tacit.experience.memory.views import MemoryFilter
from tacit.recall import code_blocks
from tacit.recall.code_blocks import all_blocks, shares_of_blocks
from tacit.recall.read_ahead import read_ahead
from tacit.recall.vector_index import VectorIndex
from tacit.stores.sqlite import SqliteStore
from vector_world import DIMENSION, MIND, MODEL, World

pytestmark = pytest.mark.requirement("RE-10")


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tacit-read-ahead"]


def all_have_ended() -> bool:
    end = time.monotonic() + 20
    while readers() and time.monotonic() < end:
        time.sleep(0.01)
    return not readers()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(code_blocks, "_MANY", 4)
    monkeypatch.setattr(code_blocks, "MOST", 16)
    world = World(SqliteStore(tmp_path / "store.db"), random.Random(5))
    for _ in range(20):
        world.come(16)
    return world


def test_each_block_is_in_one_share(world: World) -> None:
    with world.store.snapshot() as snapshot:
        there = [block.block for block in all_blocks(snapshot, MIND, MODEL)]
        shares = shares_of_blocks(snapshot, MIND, MODEL, 4)
    assert len(there) >= 4
    assert [number for share in shares for number in share] == there
    assert len(shares) == 4
    world.store.close()


def test_few_blocks_are_left_to_whoever_needs_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_blocks, "_MANY", 1_000)
    with world.store.snapshot() as snapshot:
        assert shares_of_blocks(snapshot, MIND, MODEL, 4) == []
    world.store.close()


def test_an_index_that_was_prepared_finds_the_same(world: World) -> None:
    found = []
    for prepared in (True, False):
        index = VectorIndex()
        if prepared:
            index.prepare(world.store, MIND, MODEL, DIMENSION)
        with world.store.snapshot() as snapshot:
            found.append(index.among(snapshot, MIND, MODEL, DIMENSION, wanted=MemoryFilter()).numbers.tolist())
    assert found[0] == found[1] == world.numbers()
    assert all_have_ended()
    world.store.close()


def test_a_store_can_be_closed_while_it_is_read_ahead(
    world: World, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    failed = []
    monkeypatch.setattr(threading, "excepthook", lambda given: failed.append(given.exc_value))
    for _ in range(3):
        read_ahead(world.store, MIND, MODEL)
    world.store.close()
    assert all_have_ended()
    assert not failed
