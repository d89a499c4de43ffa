"""Writes memories to the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from tacit.errors import Conflict, InvalidInput
from tacit.experience.erasing.marks import refuses_memory
from tacit.experience.memory import kinds
from tacit.experience.memory.check import check_said
from tacit.experience.memory.episodes import last_wording, no_such_memory
from tacit.experience.memory.fold import MemoryRow, current_memory, memory_of_source
from tacit.experience.memory.memory import Said
from tacit.experience.memory.views import said_at
from tacit.experience.recorder import Recorder, plain
from tacit.ids import format_id, parse_id
from tacit.journal.append import Appender, Prepared
from tacit.journal.erasing import has_tombstones
from tacit.journal.read import event_by_id

BATCH = 1_000
"""So many memories are written at once, all or none."""

Done: TypeAlias = Literal["remembered", "corrected", "unchanged", "refused"]


class Written(NamedTuple):
    """A memory that is there: its id, what had to be done for that, and how many secrets were masked in it.

    One that was refused, since it was erased before, is not there.

    ``said`` is what is kept, and ``recorded_at`` when it came in, of one that is new; None of any other.
    """

    id: bytes
    done: Done
    masked: int
    said: Said | None = None
    recorded_at: int = 0


class Rememberer:
    """Remembers, corrects and forgets, for one mind."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._mind = recorder.mind.id

    def remember(self, said: Said, *, key: str | None = None) -> Future[Written]:
        """Remember one thing; the same ``key`` finds the same memory again. See :class:`Said` for ``source_id``."""
        prepared = self._prepare(said, key)
        return self._recorder.submit(lambda appender: self._write(appender, prepared))

    def remember_many(self, all_said: Sequence[Said]) -> list[Written]:
        """Remember many things, in batches of ``BATCH``; all of them are checked before any is written.

        Raises:
            InvalidInput: one breaks a bound; the message says which.
        """
        prepared = []
        for number, said in enumerate(all_said, start=1):
            try:
                prepared.append(self._prepare(said, None))
            except InvalidInput as error:
                raise type(error)(f"memory {number}: {error.message}", **error.context, number=number) from error
        written: list[Written] = []
        for first in range(0, len(prepared), BATCH):
            batch = prepared[first : first + BATCH]
            written += self._recorder.submit(partial(self._write_all, batch), len(batch)).result()
        return written

    def correct(self, id: bytes, changed: Callable[[Said], Said]) -> Written:
        """Say what is remembered instead: ``changed`` makes it of what is remembered now, and is asked again when
        somebody else corrected that meanwhile. The same as now is nothing.

        Raises:
            NotFound: there is no such memory, or it holds no longer.
            Conflict: another memory has the user and the source that it would get.
        """
        while True:
            with self._recorder.journal.store.snapshot() as snapshot:
                row = current_memory(snapshot, self._mind, id)
                if row is None:
                    raise no_such_memory(snapshot, self._mind, id)
                said = said_at(snapshot, self._mind, row.since)
            prepared = self._prepare(changed(said), None)
            written = self._recorder.submit(partial(self._correct_wording, row, prepared)).result()
            if written is not None:
                return written

    def _correct_wording(self, before: MemoryRow, prepared: Prepared, appender: Appender) -> Written | None:
        """Correct a memory, if it still says what it did."""
        appender.hold(self._mind)
        row = current_memory(appender.transaction, self._mind, before.id)
        if row is None:
            raise no_such_memory(appender.transaction, self._mind, before.id)
        if row.since == before.since:
            self._check_source(appender, row, prepared.payload["memory"])
            return self._correct(appender, row, prepared)
        # our own commit may have been said to have failed, and had not
        known = event_by_id(appender.views, self._mind, prepared.id)
        return None if known is None else Written(row.id, "corrected", prepared.masked)

    def _check_source(self, appender: Appender, row: MemoryRow, said: Mapping[str, Any]) -> None:
        """For one user and source there is one memory: a correction must not make a second one."""
        user, source_id = said.get("user", ""), said.get("source_id", "")
        if not source_id or (user, source_id) == (row.user, row.source_id):
            return
        other = memory_of_source(appender.transaction, self._mind, user, source_id)
        if other is not None:
            raise Conflict(
                f"memory {format_id(other.id)} is the one from that source already; correct that, or forget it first",
                memory=format_id(other.id),
            )

    def forget(self, ids: Sequence[bytes], why: str) -> Future[int]:
        """Take memories out of what is remembered, without erasing them; how many still were.

        Raises:
            InvalidInput: one is an episode.
        """

        def job(appender: Appender) -> int:
            appender.hold(self._mind)
            there = [
                id for id in dict.fromkeys(ids) if current_memory(appender.transaction, self._mind, id) is not None
            ]
            for id in ids:
                if last_wording(appender.transaction, self._mind, id) is not None:
                    raise no_such_memory(appender.transaction, self._mind, id)
            for id in there:
                appender.append(self._mind, self._recorder.prepare(kinds.MEMORY_FORGOTTEN, {"why": why}, causation=id))
            return len(there)

        return self._recorder.submit(job, len(ids))

    def prepare_import(self, said: Said, *, id: str = "", key: str = "") -> Prepared:
        """The event of a memory that comes from a file: with the id of an exported one, else with one made of a key."""
        return self._prepare(said, None, parse_id(id) if id else self._recorder.keyed("import", key, "a memory"))

    def write_imports(self, prepared: Sequence[Prepared]) -> list[Written]:
        """Write memories that come from files, all or none.

        What was brought in before is nothing, whatever became of it since: a correction holds, and what was forgotten
        stays so. New content of a source whose memory is there corrects that.
        """
        return self._recorder.journal.run(partial(self._bring, prepared))

    def _prepare(self, said: Said, key: str | None, id: bytes | None = None) -> Prepared:
        check_said(said, self._recorder.limits)
        if key is not None:
            id = self._recorder.keyed("memory", key, "a memory")
        payload = {"memory": plain(said)}
        return self._recorder.prepare(
            kinds.MEMORY_REMEMBERED, payload, id=id, occurred_at=said.occurred_at, agent=said.agent
        )

    def _write(self, appender: Appender, prepared: Prepared) -> Written:
        payload = prepared.payload["memory"]
        if source_id := payload.get("source_id"):
            appender.hold(self._mind)
            row = memory_of_source(appender.views, self._mind, payload.get("user", ""), source_id)
            if row is not None:
                return self._correct(appender, row, prepared)
        appended = appender.append(self._mind, prepared)
        if not appended.new:
            return Written(appended.event.id, "unchanged", prepared.masked)
        said = msgspec.convert(prepared.payload["memory"], Said)
        return Written(appended.event.id, "remembered", prepared.masked, said, appended.event.recorded_at)

    def _write_all(self, prepared: Sequence[Prepared], appender: Appender) -> list[Written]:
        """Write a batch. What was erased is refused alone, and counted: the rest has nothing to do with it."""
        write = self._write_or_refuse if has_tombstones(appender.transaction, self._mind) else self._write
        return [write(appender, one) for one in prepared]

    def _write_or_refuse(self, appender: Appender, prepared: Prepared) -> Written:
        said, mind = prepared.payload["memory"], self._recorder.mind
        if refuses_memory(appender.transaction, mind, prepared.id, said):
            return Written(prepared.id, "refused", prepared.masked)
        return self._write(appender, prepared)

    def _bring(self, prepared: Sequence[Prepared], appender: Appender) -> list[Written]:
        appender.hold(self._mind)
        write = self._write_or_refuse if has_tombstones(appender.transaction, self._mind) else self._write
        memories: dict[bytes, bytes] = {}
        """The memory of each event that was met so far."""
        written = []
        for one in prepared:
            memory = memories.get(one.id) or self._brought(appender, one.id)
            if memory is not None and not self._is_erased(appender, one):
                written.append(Written(memory, "unchanged", 0))
            else:
                written.append(write(appender, msgspec.structs.replace(one, repeatable=False)))
            memories[one.id] = written[-1].id
        return written

    def _is_erased(self, appender: Appender, prepared: Prepared) -> bool:
        """Whether the event of that id is still in the journal, but what it said was erased."""
        found = event_by_id(appender.views, self._mind, prepared.id)
        return found is not None and found.payload is None

    def _brought(self, appender: Appender, event: bytes) -> bytes | None:
        """The memory that an earlier import made, or corrected, by an event of this id; None if none did."""
        earlier = event_by_id(appender.views, self._mind, event)
        return None if earlier is None else earlier.event.causation or earlier.event.id

    def _correct(self, appender: Appender, row: MemoryRow, prepared: Prepared) -> Written:
        said = msgspec.convert(prepared.payload["memory"], Said)
        if said_at(appender.transaction, self._mind, row.since) == said:
            return Written(row.id, "unchanged", prepared.masked)
        correction = msgspec.structs.replace(prepared, kind=kinds.MEMORY_CORRECTED, causation=row.id)
        appender.append(self._mind, correction)
        return Written(row.id, "corrected", prepared.masked)
