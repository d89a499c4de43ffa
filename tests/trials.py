"""What the tests of whole minds share: opening with settings, reading the journal, and judging a store's soundness."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import psutil

import tacit
from tacit.clock import Clock, SystemClock
from tacit.experience.fold import EpisodeProjection
from tacit.experience.memory.episodes import EpisodeMemoryProjection
from tacit.journal import helper
from tacit.journal.event import Recorded
from tacit.journal.minds import MindProjection
from tacit.journal.read import all_events
from tacit.journal.replay import differing_views, scratch_store
from tacit.journal.verify import verify
from tacit.learning.assessment.tally import Tally
from tacit.ops.settings import Settings, load
from tacit.stores.sqlite import SqliteStore
from tacit.stores.sqlite_file import anchor_path, log_paths


def settings(**changed: Any) -> Settings:
    """The defaults with some settings changed: ``retry__attempts=1`` means ``retry.attempts``."""
    return load({key.replace("__", "."): value for key, value in changed.items()}, environ={}).settings


def open_mind(
    path: Path | str,
    name: str = "default",
    *,
    clock: Clock | None = None,
    passphrase: str | None = None,
    **changed: Any,
) -> tacit.Mind:
    """A mind of the store at ``path``, with some settings changed."""
    return tacit.open(
        path, mind=name, settings=settings(**changed), clock=clock or SystemClock(), passphrase=passphrase
    )


def copy_store(path: Path, to: Path) -> None:
    """Copy a closed store and its anchor: what is built once serves many tests, each of which may change its own."""
    assert not any(log.exists() for log in log_paths(path)), "somebody still uses it"
    shutil.copyfile(path, to)
    shutil.copyfile(anchor_path(path), anchor_path(to))


def events_of(mind: tacit.Mind) -> list[Recorded]:
    """Every event of a mind, in order."""
    with mind.recorder.journal.store.snapshot() as snapshot:
        return list(all_events(snapshot, mind.recorder.mind.id))


def kinds_of(mind: tacit.Mind) -> list[str]:
    """The kind of every event of a mind, in order."""
    return [recorded.event.kind for recorded in events_of(mind)]


def assert_sound(path: Path, passphrase: str | None = None) -> int:
    """The file, its chains, its anchor and its views are whole, read without Tacit's writer; how many events it has."""
    store = SqliteStore(path, passphrase=passphrase, create=False)
    try:
        report = verify(store, anchor_path(path))
        assert report.ok, "\n".join(map(str, report.problems[:5]))
        assert store.integrity() == []
        with scratch_store() as empty:
            views = [MindProjection(), EpisodeProjection(), EpisodeMemoryProjection()]
            assert differing_views(store, empty, views, [Tally()]) == []
        return report.events
    finally:
        store.close()


def children() -> list[psutil.Process]:
    """The helpers that work for this process."""
    found = []
    for each in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):  # it has just ended
            if helper._BEGIN in each.cmdline():
                found.append(each)
    return found
