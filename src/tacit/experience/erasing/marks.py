"""Tombstones: by what something erased is recognised when it comes again, without keeping anything of it.

A mark is an HMAC under the mind's own secret, so nobody without the store can test a guess against it. It is scoped:
what is refused is the same thing from the same person and the same place, and not the same words from anywhere. So
erasing one "yes" does not forbid every "yes".

| what comes | is refused when it has |
|---|---|
| anything | the id, or the key, of something erased |
| a memory | the user and the source id of one; or its user, session, source, time and words |
| a memory without source, session and time | the user and the words of one: nothing says that it is another |
| an attempt with steps | the description and the steps of one: tools, actions, parameters, observations |
| an attempt without steps | the description, source id and time of one |
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, select

from tacit.errors import Erased, IntegrityError, NotFound
from tacit.experience import kinds
from tacit.experience.memory import kinds as memory_kinds
from tacit.experience.views import load_episode
from tacit.ids import format_id, keyed_id
from tacit.journal import canonical
from tacit.journal.erasing import CONTENT_ERASED, has_tombstones, is_refused
from tacit.journal.event import Event, Recorded
from tacit.journal.expiring import expiry_of
from tacit.journal.forgetting import Doomed
from tacit.journal.minds import MindInfo
from tacit.journal.read import event_at, event_by_id
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

_STEP_PARTS = ("tool", "action", "parameters", "observation")
_ANY_DEPTH = 1_000  # it was bounded when it came in
_secret = select(schema.mind.c.secret).where(schema.mind.c.id == bindparam("id"))


def request_mark(secret: bytes, what: str, value: str) -> bytes:
    """The mark of a request to erase, by which it is found when it is made again."""
    return keyed_id(secret, "erase", what, value)


def id_mark(secret: bytes, id: bytes) -> bytes:
    """The mark of an episode's, a memory's or an exposure's id; a key gives the same id again."""
    return keyed_id(secret, "erased id", format_id(id))


def memory_marks(secret: bytes, said: Mapping[str, Any], *, erasing: bool) -> set[bytes]:
    """The marks of a wording, as it is stored.

    Args:
        erasing: those that it leaves behind, instead of those that would refuse it.
    """
    user, text, source = said.get("user", ""), said["text"], said.get("source_id", "")
    place = (said.get("session", ""), source, _time(said.get("occurred_at")))
    marks = {keyed_id(secret, "erased memory", user, *place, text)}
    if source:
        marks.add(keyed_id(secret, "erased source", user, source))
    if erasing or not any(place):
        marks.add(keyed_id(secret, "erased words", user, text))
    return marks


def attempt_mark(
    secret: bytes, task: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], started_at: int | None
) -> bytes:
    """The mark of an attempt by its content. Context that an import adds does not make another attempt of it."""
    if not steps:
        return keyed_id(secret, "erased task", task["description"], task.get("source_id", ""), _time(started_at))
    told = [{name: step[name] for name in _STEP_PARTS if step.get(name) not in (None, "", {})} for step in steps]
    digest = hashlib.sha256(canonical.encode({"steps": told}, max_depth=_ANY_DEPTH)).hexdigest()
    return keyed_id(secret, "erased attempt", task["description"], digest)


def _time(micros: int | None) -> str:
    return "" if micros is None else str(micros)


def mark_all(snapshot: Snapshot, mind: MindInfo, doomed: Doomed) -> None:
    """Add the marks of everything that is to be erased. It must still be there to be read."""
    secret = mind.secret
    doomed.marks.update(id_mark(secret, id) for id in (*doomed.episodes, *doomed.memories, *doomed.exposures))
    for place in doomed.of_kinds(frozenset({memory_kinds.MEMORY_REMEMBERED, memory_kinds.MEMORY_CORRECTED})):
        recorded = event_at(snapshot, mind.id, place.position)
        if recorded.payload is not None:
            doomed.marks |= memory_marks(secret, recorded.payload["memory"], erasing=True)
    for id in doomed.episodes:
        opened = event_by_id(snapshot, mind.id, id)
        if opened is not None and opened.payload is not None:
            doomed.marks.add(mark_of_episode(snapshot, mind, opened, opened.payload))
        elif (expiry := expiry_of(snapshot, mind.id, id)) is not None:
            doomed.marks.add(bytes.fromhex((expiry.payload or {})["mark"]))


def mark_of_episode(snapshot: Snapshot, mind: MindInfo, opened: Recorded, payload: dict[str, Any]) -> bytes:
    """The mark that an episode leaves behind; ``payload`` is that of the event that opened it."""
    steps: Sequence[Mapping[str, Any]] = payload.get("steps", ())
    if opened.event.kind == kinds.EPISODE_STARTED:
        try:
            live = load_episode(snapshot, mind.id, opened.event.id).steps
        except (NotFound, IntegrityError):
            live = ()  # a part of it is missing already; what is left goes all the same
        steps = [msgspec.to_builtins(step) for step in live]
    return attempt_mark(mind.secret, payload["task"], steps, opened.event.occurred_at)


def marks_of(secret: bytes, event: Event, payload: Mapping[str, Any]) -> set[bytes]:
    """The marks by which an event that comes in would be recognised."""
    marks = {id_mark(secret, event.id)}
    if event.kind in (memory_kinds.MEMORY_REMEMBERED, memory_kinds.MEMORY_CORRECTED):
        marks |= memory_marks(secret, payload["memory"], erasing=False)
    elif event.kind == kinds.EPISODE_RECORDED:
        marks.add(attempt_mark(secret, payload["task"], payload.get("steps", ()), event.occurred_at))
    return marks


class Refusal:
    """Refuses what was erased when it comes again. Not part of a replay: what is in the journal was taken in."""

    kinds = frozenset(
        {
            kinds.EPISODE_STARTED,
            kinds.EPISODE_RECORDED,
            kinds.ADVICE_GIVEN,
            memory_kinds.MEMORY_REMEMBERED,
            memory_kinds.MEMORY_CORRECTED,
            CONTENT_ERASED,
        }
    )

    def __init__(self) -> None:
        self._last: Transaction | None = None
        self._wary: dict[bytes, bool] = {}
        """Whether minds have tombstones, as the last transaction saw it: asked once in each, since most have none."""

    def apply(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        if transaction is not self._last or event.kind == CONTENT_ERASED:
            self._last, self._wary = transaction, {}
        if event.kind == CONTENT_ERASED:
            return
        if event.mind not in self._wary:
            self._wary[event.mind] = has_tombstones(transaction, event.mind)
        if not self._wary[event.mind]:
            return
        secret = secret_of(transaction, event.mind)
        if is_refused(transaction, event.mind, marks_of(secret, event, payload)):
            raise erased(event.kind)


def refuses_memory(snapshot: Snapshot, mind: MindInfo, id: bytes, said: Mapping[str, Any]) -> bool:
    """Whether a memory that is about to be written was erased before."""
    marks = {id_mark(mind.secret, id), *memory_marks(mind.secret, said, erasing=False)}
    return is_refused(snapshot, mind.id, marks)


def secret_of(snapshot: Snapshot, mind: bytes) -> bytes:
    """The secret of a mind, under which its marks are made."""
    row = snapshot.row(_secret, id=mind)
    assert row is not None
    return bytes(row[0])


def erased(kind: str) -> Erased:
    """The error for what comes again."""
    return Erased(
        "this was erased, and is not taken in again; nothing was stored. What is said anew, elsewhere or by somebody "
        "else, is another thing: give it its own source, session, time or key",
        kind=kind,
    )
