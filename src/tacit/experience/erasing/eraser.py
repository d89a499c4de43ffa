"""Erases: finds what is to go, removes it batch by batch, each batch whole, and writes the receipt.

A batch is one transaction: payloads, rows of views and caches, counts, tombstones, and the event that says so. Between
batches others write. When the process dies half-way, the same call finishes what is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from tacit.experience.erasing.marks import mark_all, request_mark
from tacit.experience.erasing.receipt import Receipt, ref_of, signed, told
from tacit.experience.erasing.target import Roots, Target, add_rest, nothing_there, roots_of
from tacit.ids import format_id, parse_id
from tacit.journal.append import Appender, Preparer
from tacit.journal.erasing import (
    CONTENT_ERASED,
    Erasure,
    erasure_of,
    erasures,
    has_payload,
    hex_of,
    ids_of,
    new_marks,
    remove_payloads,
)
from tacit.journal.event import Recorded
from tacit.journal.forgetting import Doomed, Keeper, complete
from tacit.journal.journal import Journal
from tacit.journal.minds import MindInfo
from tacit.journal.read import event_by_id
from tacit.stores.port import Snapshot

BATCH_EVENTS = 500
"""A batch is full with so many events: it takes a fraction of a second, and everybody else's writes wait for it."""
_MOST_PASSES = 10
"""What comes in while it is erased is looked for again; what still comes then came after the call."""

Told = Callable[[MindInfo, Sequence[Recorded]], None]
"""Is told of erasures that are durable: the ledger."""


class _Batch(NamedTuple):
    """What is left to do, and the event of what was done; None when there was nothing."""

    left: Roots
    recorded: Recorded | None


class Eraser:
    """Erases in the minds of one open store.

    Args:
        keepers: who must forget.
        tell: called when an erasure is durable.
        scrub: called at the end: overwrites what deleted rows leave behind in files.
    """

    def __init__(self, journal: Journal, keepers: Sequence[Keeper], tell: Told, scrub: Callable[[], object]) -> None:
        self._journal = journal
        self._keepers = tuple(keepers)
        self._tell = tell
        self._scrub = scrub

    def erase(self, mind: MindInfo, target: Target) -> Receipt:
        """Erase for good; the signed receipt. What was erased by the same request before is told again.

        Raises:
            NotFound: there is no memory or episode of that id, and there was none.
        """
        request = request_mark(mind.secret, target.what, target.value)
        done: list[Recorded] = []
        try:
            for _ in range(_MOST_PASSES):
                found = self._pass(mind, target, request)
                done += found
                if not found:
                    break
        finally:
            if done:
                self._tell(mind, done)
            self._scrub()
        again = not done
        if again:
            with self._journal.store.snapshot() as snapshot:
                done = erasures(snapshot, mind.id, request)
            self._tell(mind, done)
        if not done and target.what in ("memory", "episode"):
            raise nothing_there(target)
        receipt = signed(self._receipt(mind, target, done), self._journal.node)
        return msgspec.structs.replace(receipt, repeated=again and bool(done))

    def preview(self, mind: MindInfo, target: Target) -> Receipt:
        """What erasing would remove, with the same counts; nothing is changed.

        Raises:
            NotFound: there is no memory or episode of that id.
        """
        doomed = Doomed()
        with self._journal.store.snapshot() as snapshot:
            roots = roots_of(snapshot, mind.id, target)
            for episode in roots.episodes:
                doomed.episode(episode)
            for memory in roots.memories:
                doomed.memory(memory)
            complete(snapshot, mind, doomed, self._keepers)
            after = 0
            while roots.rest and (after := add_rest(snapshot, mind.id, doomed, after, BATCH_EVENTS)):
                complete(snapshot, mind, doomed, self._keepers)
            counts = self._counted(snapshot, mind, doomed)
        if not doomed.events and target.what in ("memory", "episode"):
            raise nothing_there(target)
        return Receipt(
            mind=format_id(mind.id),
            what=target.what,
            erased_at=self._journal.clock.now(),
            episodes=ids_of(doomed.episodes),
            memories=ids_of(doomed.memories),
            counts=_shown(counts),
            dry_run=True,
        )

    def _counted(self, snapshot: Snapshot, mind: MindInfo, doomed: Doomed) -> Counter[str]:
        counts: Counter[str] = Counter()
        for keeper in self._keepers:
            counts.update(keeper.count(snapshot, mind, doomed))
        mark_all(snapshot, mind, doomed)
        counts["tombstone"] = len(new_marks(snapshot, mind.id, doomed.marks))
        # of what expired there is none any more
        counts["payload"] = sum(has_payload(snapshot, mind.id, place.position) for place in doomed.events.values())
        return counts

    def _receipt(self, mind: MindInfo, target: Target, done: Sequence[Recorded]) -> Receipt:
        now = self._journal.clock.now()
        return Receipt(
            mind=format_id(mind.id),
            what=target.what,
            erased_at=done[-1].event.recorded_at if done else now,
            erasures=tuple(ref_of(recorded.event) for recorded in done),
            **told([erasure_of(recorded.payload or {}) for recorded in done]),
        )

    def _pass(self, mind: MindInfo, target: Target, request: bytes) -> list[Recorded]:
        """Erase all that is there of the target now."""
        with self._journal.store.snapshot() as snapshot:
            left = roots_of(snapshot, mind.id, target)
        done: list[Recorded] = []
        while any(left):
            id = self._journal.preparer.new_id()  # made here, so that a commit that is tried again finds itself
            note = Erasure(what=target.what, request=request.hex())
            before = left

            def job(appender: Appender, before: Roots = before, id: bytes = id, note: Erasure = note) -> _Batch:
                return _erase_next(appender, self._journal.preparer, mind, self._keepers, before, id, note)

            left, recorded = self._journal.submit(job, bounded=False).result()
            if recorded is not None:
                done.append(recorded)
        return done


def _erase_next(
    appender: Appender,
    preparer: Preparer,
    mind: MindInfo,
    keepers: Sequence[Keeper],
    roots: Roots,
    id: bytes,
    note: Erasure,
) -> _Batch:
    """Erase as many of the roots as one batch holds."""
    snapshot, doomed = appender.transaction, Doomed()
    appender.hold(mind.id)  # nobody adds to what was found
    episodes, memories, rest = list(roots.episodes), list(roots.memories), roots.rest
    if (earlier := event_by_id(snapshot, mind.id, id)) is not None:
        return _Batch(roots, earlier)  # the commit before was said to have failed, and had not
    while (episodes or memories) and len(doomed.events) < BATCH_EVENTS:
        if episodes:
            doomed.episode(episodes.pop())
        else:
            doomed.memory(memories.pop())
        complete(snapshot, mind, doomed, keepers)
    if rest and not doomed.events:
        rest = add_rest(snapshot, mind.id, doomed, 0, BATCH_EVENTS) > 0
        complete(snapshot, mind, doomed, keepers)
    left = Roots(episodes, memories, rest)
    if not doomed.events:
        return _Batch(left, None)
    return _Batch(left, erase(appender, preparer, mind, keepers, doomed, id, note))


def erase(
    appender: Appender,
    preparer: Preparer,
    mind: MindInfo,
    keepers: Sequence[Keeper],
    doomed: Doomed,
    id: bytes,
    note: Erasure,
) -> Recorded:
    """Remove everything that is doomed, and write the event that says so, in the appender's transaction."""
    transaction, counts = appender.transaction, Counter[str]()
    mark_all(transaction, mind, doomed)
    counts["tombstone"] = len(new_marks(transaction, mind.id, doomed.marks))
    for keeper in keepers:
        counts.update(keeper.forget(transaction, mind, doomed))
    counts["payload"] = remove_payloads(transaction, mind.id, (place.position for place in doomed.events.values()))
    whole = msgspec.structs.replace(
        note,
        episodes=ids_of({*doomed.episodes, *map(parse_id, note.episodes)}),
        memories=ids_of({*doomed.memories, *map(parse_id, note.memories)}),
        exposures=ids_of({*doomed.exposures, *map(parse_id, note.exposures)}),
        events=ids_of({*doomed.events, *map(parse_id, note.events)}),
        marks=hex_of(doomed.marks),
        counts=_shown(counts),
    )
    prepared = preparer.prepare(CONTENT_ERASED, msgspec.to_builtins(whole), id=id, secret=True)
    return Recorded(appender.append(mind.id, prepared).event, prepared.payload)


def _shown(counts: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items()) if count}
