"""Builds small journals for tests: real stores, real episodes, a clock and ids that repeat."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as driver

from memory_folder import MEMORY
from tacit.clock import ManualClock
from tacit.experience.episode import Outcome, Step, Task
from tacit.experience.fold import EpisodeProjection
from tacit.experience.limits import Limits
from tacit.experience.recorder import Recorder
from tacit.ids import Entropy, SeededEntropy, format_id
from tacit.journal.append import Projection
from tacit.journal.consumer import Consumer
from tacit.journal.consumers import Pace
from tacit.journal.journal import Journal, JournalOptions
from tacit.journal.minds import MindInfo, MindProjection, open_mind
from tacit.journal.node import rotate_node
from tacit.stores.port import Store
from tacit.stores.sqlite import SqliteStore
from tacit.stores.sqlite_file import anchor_path

MARKER = "zyzzogeton"


class Unmasked:
    """These payloads hold no secrets."""

    def suspects(self, body: bytes) -> bool:
        return False

    def mask(self, value: Any) -> tuple[Any, int]:
        return value, 0


def projections() -> list[Projection]:
    """The core views, as a replay folds them."""
    return [MindProjection(), EpisodeProjection()]


@contextlib.contextmanager
def journal_on(
    store: Store,
    *,
    clock: ManualClock | None = None,
    entropy: Entropy | None = None,
    consumers: Sequence[Consumer] = (),
    anchor: Path | None = None,
    background: bool = False,
) -> Iterator[Journal]:
    """A journal on an open store; closing it signs what is unsigned."""
    journal = Journal(
        store,
        projections=[MindProjection(), EpisodeProjection(Limits())],
        consumers=consumers,
        masker=Unmasked(),
        clock=clock or ManualClock(),
        entropy=entropy or SeededEntropy(1),
        options=JournalOptions(anchor=anchor, background=background, pace=Pace(batch_events=7)),
    )
    try:
        yield journal
    finally:
        journal.close()


def live_a_little(recorder: Recorder, clock: ManualClock, *, episodes: int = 4) -> None:
    """Some episodes with all that can happen to them: steps, tags, updates, relations, hand-offs, outcomes."""
    before: bytes | None = None
    for number in range(episodes):
        clock.advance(1)
        task = Task(description=f"{MARKER} {number}", domain="airline", tags=("seat", f"n{number}"), agent="a1")
        episode = recorder.start(task).result().event.id
        for at in range(3):
            clock.advance(0.25)
            found = f"{MARKER} found {at}"
            step = Step(tool="search", action="look", observation=found, status="success", latency_ms=12.5)
            recorder.step(episode, step).result()
        recorder.update(episode, {"description": f"{MARKER} again"}, add=["changed"], remove=["seat"]).result()
        recorder.checkpoint(episode, note="half way", state={"at": number}).result()
        if before is not None:
            recorder.relate(episode, "follows", format_id(before)).result()
            recorder.relate(episode, "refers", format_id(before)).result()
            recorder.relate(episode, "refers", format_id(before), holds=False).result()
        if number % 2:
            recorder.complete(episode, Outcome(kind="success", score=1.0)).result()
        before = episode


def recorder_for(journal: Journal, mind: MindInfo) -> Recorder:
    return Recorder(journal, mind, Limits())


def build_store(path: Path, *, passphrase: str | None = None, episodes: int = 4) -> None:
    """A closed store with two minds, several checkpoints, an anchor beside it, and two origins in the first mind."""
    store, anchor = _built(passphrase, episodes)
    path.write_bytes(store)
    anchor_path(path).write_bytes(anchor)


@functools.cache
def _built(passphrase: str | None, episodes: int) -> tuple[bytes, bytes]:
    """What is in the files of such a store: always the same, so it is built once."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder) / "built.db"
        _build(path, passphrase, episodes)
        return path.read_bytes(), anchor_path(path).read_bytes()


def _build(path: Path, passphrase: str | None, episodes: int) -> None:
    clock, entropy = ManualClock(), SeededEntropy(7)
    with contextlib.closing(SqliteStore(path, passphrase=passphrase)) as store:
        _session(store, path, clock, entropy, ("first", "second"), episodes)
        with store.transaction() as transaction:
            rotate_node(transaction, entropy, clock.now())
        _session(store, path, clock, entropy, ("first",), episodes)


def _session(
    store: Store, path: Path, clock: ManualClock, entropy: Entropy, minds: Sequence[str], episodes: int
) -> None:
    with journal_on(store, clock=clock, entropy=entropy, anchor=anchor_path(path)) as journal:
        for _ in range(2):
            for name in minds:
                mind = open_mind(journal, entropy, "acme", name)
                live_a_little(recorder_for(journal, mind), clock, episodes=episodes)
            journal.notary.sign_all()


def change(path: Path, sql: str, values: Sequence[Any] = ()) -> int:
    """Change a closed store behind Tacit's back; how many rows were touched."""
    connection = driver.connect(str(path), isolation_level=None)
    try:
        touched = int(connection.execute(sql, values).rowcount)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    return touched


def ask(path: Path, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Read a closed store behind Tacit's back."""
    connection = driver.connect(str(path), isolation_level=None)
    try:
        rows: list[tuple[Any, ...]] = connection.execute(sql, values).fetchall()
    finally:
        connection.close()
    return rows
