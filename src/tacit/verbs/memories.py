"""Remembering, correcting and forgetting, and reading what is remembered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from tacit.clock import to_micros
from tacit.errors import InvalidInput, shown
from tacit.experience.episode import Json
from tacit.experience.memory.check import said_from
from tacit.experience.memory.memory import Memory, MemoryKind, RecalledKind, Said, memory_of_said, said_of
from tacit.experience.memory.remember import Rememberer, Written
from tacit.experience.memory.views import (
    MemoryFilter,
    check_memory_filter,
    list_memories,
    load_memory,
    memory_history,
    number_of,
)
from tacit.experience.recorder import Recorder
from tacit.experience.views import NOW
from tacit.ids import format_id, parse_id
from tacit.verbs.base import View


class RememberReport(msgspec.Struct, kw_only=True):
    """What became of each thing that was to be remembered.

    ``ids`` are their memories, in the order in which they were given. ``remembered`` are new; ``corrected`` came from a
    source whose memory said something else; ``unchanged`` were there already.
    """

    remembered: int = 0
    corrected: int = 0
    unchanged: int = 0
    refused: int = 0
    """How many were erased before, and are not taken in again; in ``ids`` they are empty."""
    masked: int = 0
    """Secrets that were masked."""
    ids: list[str] = []


class PastMemories(View):
    """Reading memories."""

    def memory(self, id: str) -> Memory:
        """A memory by its id.

        Raises:
            NotFound: there is none, or it is no longer remembered (``memory_history`` still tells of it).
        """
        with self._reading("memory.get") as snapshot:
            return load_memory(snapshot, self.recorder.mind.id, parse_id(id), self._position)

    def memory_history(self, id: str) -> list[Memory]:
        """Every wording that a memory has had, oldest first, with how each ended."""
        with self._reading("memory.history") as snapshot:
            return memory_history(snapshot, self.recorder.mind.id, parse_id(id), self._position)

    def memories(
        self,
        *,
        kinds: Sequence[MemoryKind] = (),
        user: str = "",
        session: str = "",
        agent: str = "",
        speaker: str = "",
        subject: str = "",
        source_id: str = "",
        occurred_after: datetime | None = None,
        occurred_before: datetime | None = None,
        limit: int = 100,
        after: str = "",
    ) -> list[Memory]:
        """What is remembered and matches all that is given, the newest to come in first.

        Args:
            occurred_after, occurred_before: from the first until before the second; when a memory does not tell when
                it occurred, the time at which it came in counts.
            limit: how many at most, 1 … 1,000. ``after``: the id of the last one of the page before.
        """
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= 1_000:
            raise InvalidInput(f"limit {shown(limit)} is not a whole number from 1 to 1,000", field="limit")
        wanted = memory_filter(
            kinds=kinds,
            user=user,
            session=session,
            agent=agent,
            speaker=speaker,
            subject=subject,
            source_id=source_id,
            occurred_after=occurred_after,
            occurred_before=occurred_before,
        )
        mind = self.recorder.mind.id
        with self._reading("memory.list") as snapshot:
            last = number_of(snapshot, mind, parse_id(after), self._position) if after else NOW
            return list_memories(snapshot, mind, wanted, limit=limit, after=last, position=self._position)


class Memories(PastMemories):
    """Writing memories."""

    def remember(
        self,
        text: str,
        *,
        kind: MemoryKind = "note",
        user: str = "",
        session: str = "",
        agent: str = "",
        speaker: str = "",
        subject: str = "",
        source_id: str = "",
        occurred_at: datetime | None = None,
        valid_from: datetime | None = None,
        valid_to: datetime | None = None,
        importance: float | None = None,
        metadata: Mapping[str, Json] | None = None,
        key: str | None = None,
    ) -> Memory:
        """Remember one thing; durable, and found by its words, when it returns.

        Args:
            text: what is to be remembered, in words.
            kind: "turn" of a conversation, "fact", "preference", "instruction" that holds whatever is asked, or "note".
            user, session, agent: whom and where it is about, so that recall can be narrowed to them.
            speaker: who said it, by the name that questions will use.
            subject: what it is about, such as "alice.seat": a newer memory with the same user and subject closes the
                older one, whose history stays readable.
            source_id: what it is called where it comes from. The same content again is nothing; other content for the
                same user and source corrects the memory.
            occurred_at, valid_from, valid_to: when it was said or happened, and when it is true; with a zone.
            importance: 0 (trivial) … 1, when somebody judged it.
            key: makes a retry safe: the same key is the same memory.

        Raises:
            InvalidInput: a bound or a type is broken; nothing was stored.
            Conflict: the key was used for something else.
        """
        fields = {name: value for name, value in locals().items() if name not in ("self", "key")}
        return as_memory(self.recorder, Rememberer(self.recorder).remember(said_from(fields), key=key).result())

    def remember_many(self, memories: Iterable[Mapping[str, Any] | Said | Memory]) -> RememberReport:
        """Remember many things; each a mapping of the keywords of :meth:`remember` (without ``key``), or a memory
        that was read, also in another mind.

        All are checked before any is written, and written in batches of a thousand, each all or none.

        Raises:
            InvalidInput: one breaks a bound; the message says which, and nothing was stored.
        """
        if isinstance(memories, str | bytes | Mapping) or not isinstance(memories, Iterable):
            raise InvalidInput("memories must be a list, each a mapping with a 'text'", field="memories")
        all_said = []
        for number, each in enumerate(memories, start=1):
            try:
                all_said.append(_said(each))
            except InvalidInput as error:
                raise type(error)(f"memory {number}: {error.message}", **error.context, number=number) from error
        report = RememberReport()
        for written in Rememberer(self.recorder).remember_many(all_said):
            report.ids.append("" if written.done == "refused" else format_id(written.id))
            report.masked += written.masked
            setattr(report, written.done, getattr(report, written.done) + 1)
        return report

    def correct(self, id: str, text: str | None = None, **changes: Any) -> Memory:
        """Say what is remembered instead: another ``text``, or other keywords of :meth:`remember`; the same is nothing.

        The memory keeps its id; what it said before is in its history, and in no answer any more.

        Raises:
            NotFound: there is no such memory, or it is no longer remembered.
            Conflict: another memory has the user and the source that it would get.
        """
        if text is not None:
            changes["text"] = text
        if not changes:
            raise InvalidInput("nothing to correct: give the new text, or another field", field="text")
        unknown = sorted(set(changes) - set(Said.__struct_fields__))
        if unknown:
            raise InvalidInput(f"a memory has no field {unknown[0]!r}", field=unknown[0])

        def changed(before: Said) -> Said:
            return said_from({**msgspec.structs.asdict(before), **changes})

        return as_memory(self.recorder, Rememberer(self.recorder).correct(parse_id(id), changed))

    def forget(self, *ids: str) -> int:
        """Take memories out of what is remembered; how many still were. Their history stays: ``erase`` removes it."""
        return Rememberer(self.recorder).forget([parse_id(id) for id in ids], "asked").result()


def _said(given: Mapping[str, Any] | Said | Memory) -> Said:
    if isinstance(given, Memory):
        return said_of(given)
    return given if isinstance(given, Said) else said_from(given)


def as_memory(recorder: Recorder, written: Written) -> Memory:
    """A memory that was just written. One with a subject may have been closed in the same moment by a newer one."""
    mind = recorder.mind.id
    if written.said is not None and not written.said.subject:
        return memory_of_said(
            written.said, id=format_id(written.id), mind=format_id(mind), recorded_at=written.recorded_at
        )
    with recorder.journal.store.snapshot() as snapshot:
        return memory_history(snapshot, mind, written.id)[-1]


def memory_filter(
    *,
    kinds: Sequence[RecalledKind] = (),
    occurred_after: datetime | None = None,
    occurred_before: datetime | None = None,
    episodes: bool = False,
    **names: str,
) -> MemoryFilter:
    """Which memories are meant, from keywords as the verbs take them, checked; with ``episodes``, those too."""
    if isinstance(kinds, str) or not isinstance(kinds, Sequence):
        raise InvalidInput("kinds must be a list, such as ['fact']", field="kinds")
    wanted = MemoryFilter(
        kinds=tuple(kinds),
        occurred_after=None if occurred_after is None else to_micros(occurred_after),
        occurred_before=None if occurred_before is None else to_micros(occurred_before),
        **names,
    )
    check_memory_filter(wanted, episodes=episodes)
    return msgspec.structs.replace(wanted, kinds=tuple(dict.fromkeys(wanted.kinds)))
