"""What the journal is put through on every store, alone and by two processes at once.

Each function is one process's part; ``worker`` is its number. They stand in a module of their own, so that other
processes can import them.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import bindparam, select, update

from tacit.clock import Clock, ManualClock, SystemClock
from tacit.errors import Conflict
from tacit.experience import kinds
from tacit.experience.fold import EpisodeProjection
from tacit.ids import SystemEntropy, keyed_id
from tacit.journal.append import Appender, Preparer
from tacit.journal.consumer import Consumer, EventConsumer
from tacit.journal.consumers import Pace
from tacit.journal.event import Event
from tacit.journal.journal import Journal, JournalOptions
from tacit.journal.minds import MindInfo, MindProjection, open_mind
from tacit.journal.notary import Cadence
from tacit.journal.verify import verify
from tacit.stores import schema
from tacit.stores.conformance import StoreFactory
from tacit.stores.port import Snapshot, Store

SECRET = b"s" * 32
NOTE = "note.added"
ECHO = "note.echoed"
_statistic = schema.statistic
_count = select(_statistic.c.count).where(_statistic.c.mind == bindparam("mind"), _statistic.c.key == bindparam("key"))
_add = (
    update(_statistic)
    .where(_statistic.c.mind == bindparam("of"), _statistic.c.key == bindparam("named"))
    .values(count=_statistic.c.count + bindparam("more"))
)
_events = select(*schema.event.c).order_by(schema.event.c.mind, schema.event.c.position)
_heads = select(*schema.head.c)


class Unmasked:
    """These payloads hold no secrets."""

    def suspects(self, body: bytes) -> bool:
        return False

    def mask(self, value: Any) -> tuple[Any, int]:
        return value, 0


class Echo(EventConsumer):
    """A consumer: counts the notes, and answers each with an event of its own."""

    name = "echo"
    kinds = frozenset({NOTE})

    def prepare(self, snapshot: Snapshot, mind: bytes, events: Sequence[Event]) -> Any:
        return [event.position for event in events if event.kind == NOTE]

    def apply(self, appender: Appender, mind: bytes, effects: Any) -> None:
        if not effects:
            return
        transaction = appender.transaction
        if transaction.execute(_add, of=mind, named="notes", more=len(effects)) == 0:
            transaction.insert(_statistic, ((mind, "notes", len(effects)),))
        for position in effects:
            appender.append(mind, prepared_echo(position))


class Halting(Echo):
    """The same, but its process is held up between reading and writing."""

    def __init__(self, halt: Callable[[], None]) -> None:
        self._halt = halt

    def prepare(self, snapshot: Snapshot, mind: bytes, events: Sequence[Event]) -> Any:
        self._halt()
        return super().prepare(snapshot, mind, events)


_preparer = Preparer(SystemClock(), SystemEntropy(), Unmasked())


def prepared_echo(position: int) -> Any:
    return _preparer.prepare(ECHO, {"of": position}, id=keyed_id(SECRET, Echo.name, str(position)))


@contextlib.contextmanager
def journal_of(
    store: Store, *, consumers: Sequence[Consumer] = (), clock: Clock | None = None, background: bool = False
) -> Iterator[tuple[Journal, MindInfo]]:
    """A journal on the store, and its mind "shared"."""
    entropy = SystemEntropy()
    journal = Journal(
        store,
        projections=[MindProjection(), EpisodeProjection()],
        consumers=consumers,
        masker=Unmasked(),
        clock=clock or SystemClock(),
        entropy=entropy,
        options=JournalOptions(
            background=background, cadence=Cadence(events=50), pace=Pace(poll_seconds=0.01, batch_events=7)
        ),
    )
    try:
        yield journal, open_mind(journal, entropy, "tenant", "shared")
    finally:
        journal.close()


@contextlib.contextmanager
def opened_journal(store_factory: StoreFactory, **options: Any) -> Iterator[tuple[Journal, MindInfo]]:
    with contextlib.closing(store_factory()) as store, journal_of(store, **options) as both:
        yield both


def note(journal: Journal, mind: bytes, text: str, **options: Any) -> Any:
    """Queue one note; the future of what was appended."""
    prepared = journal.preparer.prepare(NOTE, {"text": text}, **options)
    return journal.submit(lambda appender: appender.append(mind, prepared))


# ── what one process does ────────────────────────────────────────────────────────────────────────────────────────────


def write_notes(store_factory: StoreFactory, worker: int, count: int) -> None:
    """Each note in a group of its own."""
    with opened_journal(store_factory) as (journal, mind):
        for number in range(count):
            note(journal, mind.id, f"{worker}.{number}").result()


def write_from_threads(store_factory: StoreFactory, worker: int, threads: int, count: int) -> int:
    """Many threads at once; how many transactions it took."""
    with opened_journal(store_factory) as (journal, mind):
        commits = itertools.count()
        journal.writer._on_commit = lambda: next(commits)  # counts groups; nothing else tells them apart from outside

        def work(thread: int) -> None:
            for number in range(count):
                note(journal, mind.id, f"{worker}.{thread}.{number}").result()

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        return next(commits)


def write_good_and_bad(store_factory: StoreFactory, worker: int, count: int) -> int:
    """Between good notes, jobs that append and then fail; how many of those failed."""

    def fail(appender: Appender, prepared: Any, mind: bytes) -> None:
        appender.append(mind, prepared)
        raise LookupError

    with opened_journal(store_factory) as (journal, mind):
        good, bad = [], []
        for number in range(count):
            good.append(note(journal, mind.id, f"{worker}.{number}"))
            prepared = journal.preparer.prepare(NOTE, {"text": "bad"})
            bad.append(journal.submit(functools.partial(fail, prepared=prepared, mind=mind.id)))
        for future in good:
            future.result()
        return sum(isinstance(future.exception(), LookupError) for future in bad)


def write_keyed(store_factory: StoreFactory, worker: int, count: int) -> int:
    """Every process writes the same keyed notes; how many of them were new."""
    with opened_journal(store_factory) as (journal, mind):
        made = [note(journal, mind.id, f"note {n}", id=keyed_id(SECRET, str(n))) for n in range(count)]
        return sum(future.result().new for future in made)


def write_same_key_differently(store_factory: StoreFactory, worker: int, count: int) -> int:
    """Two notes to each key; how many were refused."""
    with opened_journal(store_factory) as (journal, mind):
        made = [
            note(journal, mind.id, f"{worker}.{version}", id=keyed_id(SECRET, str(n)))
            for n in range(count)
            for version in range(2)
        ]
        return sum(isinstance(future.exception(), Conflict) for future in made)


def write_and_follow(store_factory: StoreFactory, worker: int, count: int) -> dict[str, str]:
    """Write notes while a consumer answers them in the background; the errors it met."""
    with opened_journal(store_factory, consumers=[Echo()], background=True) as (journal, mind):
        for number in range(count):
            note(journal, mind.id, f"{worker}.{number}").result()
        journal.consumers.settle(mind.id, timeout=60)
        return dict(journal.consumers.failures)


def sleep_through_the_lease(store_factory: StoreFactory, meet: Callable[[], object]) -> bool:
    """Hold the lease, let the other one take over, then try to write; whether anything was written."""

    def halt() -> None:
        meet()  # now the other one may begin
        meet()  # and now it has finished

    with opened_journal(store_factory, consumers=[Halting(halt)]) as (journal, _):
        return journal.consumers._round()


def take_over(store_factory: StoreFactory, meet: Callable[[], object], start: int) -> bool:
    """Run the same consumer when the other one's lease has expired; whether it moved."""
    meet()
    clock = ManualClock(start)
    clock.advance(3_600)
    with opened_journal(store_factory, consumers=[Echo()], clock=clock) as (journal, mind):
        moved = journal.consumers._round()
        journal.consumers.settle(mind.id, timeout=60)
    meet()
    return moved


def write_to_two_minds(store_factory: StoreFactory, worker: int, count: int) -> None:
    """Groups that touch two minds, in the opposite order in each process."""
    with opened_journal(store_factory) as (journal, _):
        minds = [open_mind(journal, SystemEntropy(), "tenant", name).id for name in ("left", "right")]
        for number in range(count):
            order = minds if (worker + number) % 2 else minds[::-1]
            for future in [note(journal, mind, f"{worker}.{number}") for mind in order]:
                future.result()


def log_steps(store_factory: StoreFactory, worker: int, episode: bytes, count: int) -> None:
    """Steps of one episode, by every process."""
    with opened_journal(store_factory) as (journal, mind):
        for number in range(count):
            step = {"step": {"tool": f"tool {worker}", "action": f"{number}"}}
            prepared = journal.preparer.prepare(kinds.STEP_LOGGED, step, causation=episode)
            journal.run(functools.partial(_append_to, mind=mind.id, prepared=prepared))


def _append_to(appender: Appender, mind: bytes, prepared: Any) -> Any:
    return appender.append(mind, prepared)


# ── what must hold afterwards ────────────────────────────────────────────────────────────────────────────────────────


def events_of(snapshot: Snapshot, mind: bytes, kind: str | None = None) -> list[Event]:
    events = [Event(*row) for row in snapshot.rows(_events)]
    return [event for event in events if event.mind == mind and (kind is None or event.kind == kind)]


def count_of(snapshot: Snapshot, mind: bytes, key: str) -> int:
    row = snapshot.row(_count, mind=mind, key=key)
    return 0 if row is None else int(row[0])


def check_sound(store: Store) -> None:
    """The journal verifies, one node wrote it, and the positions and sequences of each mind have no gaps."""
    report = verify(store, None)
    assert report.problems == ()
    with store.snapshot() as snapshot:
        events = [Event(*row) for row in snapshot.rows(_events)]
        heads = {row[0]: row for row in snapshot.rows(_heads)}
    assert len({event.origin for event in events}) == 1
    for mind, found in itertools.groupby(events, key=lambda event: event.mind):
        chain = list(found)
        numbers = list(range(1, len(chain) + 1))
        assert [event.position for event in chain] == numbers
        assert [event.sequence for event in chain] == numbers
        last = chain[-1]
        assert heads[mind] == (mind, len(chain), last.clock, last.recorded_at, last.origin, len(chain), last.hash)
