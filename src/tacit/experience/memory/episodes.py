"""Finished episodes among what recall finds: a wording of each in the view of memories, made in the write that ends it.

A wording has a line each for what was to be done, for how it ended, and for what the last reflection after that says.
Its number is the position of the event that made it, and its id the episode's. An open episode is not found. When it
has an agent, that is kept in a wording that never held, since the event that ends an episode does not repeat it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, select

from tacit.errors import InvalidInput, TacitError
from tacit.experience import kinds
from tacit.experience.fold import EpisodeRow
from tacit.experience.memory.fold import (
    MemoryRow,
    close_wording,
    index_wording,
    no_memory,
    unindex_memory,
    wordings,
)
from tacit.experience.memory.memory import EPISODE
from tacit.ids import format_id
from tacit.journal.event import Event
from tacit.journal.expiring import EPISODE_EXPIRED
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

LONGEST_TASK = 1_000
"""Characters of a task's description that are told; the episode has all of it."""
LONGEST_OUTCOME = 500
LONGEST_REFLECTION = 500

_BARE = {"kind", "score"}
_memory, _episode = schema.memory, schema.episode
_last_wording = (
    select(*_memory.c)
    .where(_memory.c.mind == bindparam("mind"), _memory.c.id == bindparam("id"), _memory.c.kind == EPISODE)
    .order_by(_memory.c.since.desc())
    .limit(1)
)
_forget = delete(_memory).where(
    _memory.c.mind == bindparam("of"), _memory.c.id == bindparam("which"), _memory.c.kind == EPISODE
)
_version = select(*_episode.c).where(
    _episode.c.mind == bindparam("mind"), _episode.c.id == bindparam("id"), _episode.c.since == bindparam("position")
)


class EpisodeMemoryProjection:
    """Keeps the wordings of finished episodes. It reads the view of episodes, and so comes behind what keeps that."""

    kinds = frozenset(
        {
            kinds.EPISODE_STARTED,
            kinds.EPISODE_RECORDED,
            kinds.EPISODE_COMPLETED,
            kinds.EPISODE_UPDATED,
            kinds.REFLECTION_RECORDED,
            EPISODE_EXPIRED,
        }
    )

    def apply(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        if event.kind in (kinds.EPISODE_STARTED, kinds.EPISODE_RECORDED):
            _opened(transaction, event, payload["task"], payload.get("outcome"))
            return
        assert event.causation is not None
        if event.kind == kinds.EPISODE_COMPLETED:
            _completed(transaction, event, event.causation, payload["outcome"])
        elif event.kind == EPISODE_EXPIRED:
            _expired(transaction, event, event.causation, payload)
        elif event.kind == kinds.EPISODE_UPDATED:
            _updated(transaction, event, event.causation, payload["task"])
        else:
            _reflected(transaction, event, event.causation, payload.get("reflection"))


def _opened(transaction: Transaction, event: Event, task: Mapping[str, Any], outcome: Mapping[str, Any] | None) -> None:
    agent, source_id = task.get("agent", ""), task.get("source_id", "")
    if outcome:
        lines = (_task_line(task["description"]), _outcome_line(outcome))
        _write(transaction, _wording(event, event.id, lines, agent, source_id, event.occurred_at))
    elif agent:
        _keep_agent(transaction, event, event.id, agent)


def _completed(transaction: Transaction, event: Event, episode: bytes, outcome: Mapping[str, Any]) -> None:
    row = _version_of(transaction, event, episode)
    before = last_wording(transaction, event.mind, episode)
    lines = (_task_line(row.description), _outcome_line(outcome))
    agent = "" if before is None else before.agent
    _write(transaction, _wording(event, episode, lines, agent, row.source_id, row.started_at))


def _updated(transaction: Transaction, event: Event, episode: bytes, task: Mapping[str, Any]) -> None:
    before = last_wording(transaction, event.mind, episode)
    agent = task.get("agent", "")
    if before is None or before.until is not None:  # the episode is open
        if agent != ("" if before is None else before.agent):
            _keep_agent(transaction, event, episode, agent)
        return
    lines = (_task_line(task["description"]), *before.text.split("\n")[1:])
    after = _wording(event, episode, lines, agent, task.get("source_id", ""), before.occurred_at)
    if (after.text, after.agent, after.source_id) != (before.text, before.agent, before.source_id):
        _replace(transaction, before, after)


def _reflected(transaction: Transaction, event: Event, episode: bytes, reflection: Any) -> None:
    before = last_wording(transaction, event.mind, episode)
    if before is not None and before.until is None:
        lines = (*before.text.split("\n")[:2], _reflection_line(reflection))
        _replace(
            transaction, before, _wording(event, episode, lines, before.agent, before.source_id, before.occurred_at)
        )


def _expired(transaction: Transaction, event: Event, episode: bytes, payload: Mapping[str, Any]) -> None:
    """One wording with what stays in place of all that there were. Doing it again changes nothing."""
    for row in wordings(transaction, event.mind, episode):
        unindex_memory(transaction, row)
    transaction.execute(_forget, of=event.mind, which=episode)
    task = payload["task"]
    lines = (_task_line(task["description"]), _outcome_line(payload["outcome"]))
    agent, source_id = task.get("agent", ""), task.get("source_id", "")
    _write(transaction, _wording(event, episode, lines, agent, source_id, payload["started_at"]))


def last_wording(snapshot: Snapshot, mind: bytes, episode: bytes) -> MemoryRow | None:
    """The newest wording of an episode, which holds unless the episode is open; None when it has none."""
    row = snapshot.row(_last_wording, mind=mind, id=episode)
    return None if row is None else MemoryRow(*row)


def no_such_memory(snapshot: Snapshot, mind: bytes, id: bytes) -> TacitError:
    """The error for an id that no memory has; it says what to use if it is an episode's, as a hit of recall may be."""
    if last_wording(snapshot, mind, id) is None:
        return no_memory(id)
    told = format_id(id)
    return InvalidInput(
        f"{told} is an episode, no memory: read it with get() ('tacit episode show'), change it with the verbs of "
        "episodes, remove it with erase(episode=…)",
        episode=told,
    )


def without_reflections(rows: Sequence[MemoryRow], gone: set[int], kept: set[int]) -> list[MemoryRow | None]:
    """The wordings of an episode, in order, as if some of its reflections had never been; None for one less.

    Args:
        rows: all wordings of the episode.
        gone, kept: the positions of the reflections that go, and of those that stay.
    """
    told: list[str] = []
    done: list[MemoryRow | None] = []
    for row in rows:
        lines = row.text.split("\n")
        if row.since in kept:
            told = lines[2:]
        if row.since in gone:
            done.append(None)
        elif row.until == row.since:
            done.append(row)
        else:
            done.append(msgspec.structs.replace(row, text="\n".join([*lines[:2], *told]), until=None, ending=""))
    held = [place for place, row in enumerate(done) if row is not None and row.until is None]
    for place, following in pairwise(held):
        before, after = done[place], done[following]
        assert before is not None
        assert after is not None
        done[place] = msgspec.structs.replace(before, until=after.since, ending="corrected")
    return done


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _version_of(transaction: Transaction, event: Event, episode: bytes) -> EpisodeRow:
    """The episode as this event left it."""
    row = transaction.row(_version, mind=event.mind, id=episode, position=event.position)
    assert row is not None
    return EpisodeRow(*row)


def _write(transaction: Transaction, row: MemoryRow) -> None:
    transaction.insert(_memory, (msgspec.structs.astuple(row),))
    index_wording(transaction, row)


def _replace(transaction: Transaction, before: MemoryRow, after: MemoryRow) -> None:
    close_wording(transaction, before, after.since, "corrected")
    _write(transaction, after)


def _keep_agent(transaction: Transaction, event: Event, episode: bytes, agent: str) -> None:
    row = _wording(event, episode, (), agent, "", None)
    never = msgspec.structs.replace(row, until=row.since, ending="corrected")
    transaction.insert(_memory, (msgspec.structs.astuple(never),))


def _wording(
    event: Event, episode: bytes, lines: Sequence[str], agent: str, source_id: str, occurred_at: int | None
) -> MemoryRow:
    text = "\n".join(lines).rstrip("\n")
    return MemoryRow(
        event.mind, event.position, None, episode, EPISODE, text, "", "", agent, "", "", source_id, event.recorded_at,
        occurred_at, None, None, None, "", None,
    )  # fmt: skip


def _task_line(description: str) -> str:
    return _line(description, LONGEST_TASK)


def _outcome_line(outcome: Mapping[str, Any]) -> str:
    if outcome.keys() <= _BARE:  # as most are that come in bulk
        return f"Outcome: {outcome['kind']}"
    said = [outcome.get("verdict", ""), outcome.get("reason", "")]
    said += [", ".join(outcome.get(name, ())) for name in ("done", "failed", "signals")]
    said += [", ".join(artifact["name"] for artifact in outcome.get("artifacts", ()))]
    return _line("; ".join([f"Outcome: {outcome['kind']}", *filter(None, said)]), LONGEST_OUTCOME)


def _reflection_line(reflection: Any) -> str:
    """What a reflection tells for next time, as far as it has the lists of one."""
    if not isinstance(reflection, dict):
        return ""
    found = [one for name in ("insights", "improvements", "successes") for one in reflection.get(name, ())]
    return _line(" ".join([one["text"] for one in found]), LONGEST_REFLECTION)


def _line(text: str, longest: int) -> str:
    """A text on one line, its end cut off where it is longer."""
    line = " ".join(text[: 4 * longest].split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
