"""What somebody wants to be erased, and what of it is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import msgspec
from sqlalchemy import bindparam, select, tuple_

from tacit.errors import InvalidInput, NotFound, shown
from tacit.experience import entrance
from tacit.experience.memory.memory import EPISODE
from tacit.ids import format_id, parse_id
from tacit.journal import canonical
from tacit.journal.erasing import KEPT_KINDS
from tacit.journal.forgetting import PLACE as _PLACE
from tacit.journal.forgetting import Doomed
from tacit.stores import schema
from tacit.stores.port import Snapshot

What: TypeAlias = Literal["memory", "episode", "user", "session", "source", "everything"]
WHATS: tuple[str, ...] = get_args(What)
_PAGE = 500
_memory, _episode, _event, _payload = schema.memory, schema.episode, schema.event, schema.payload


def _ids(table: Any, *columns: str) -> Any:
    same = [table.c[name] == bindparam("value") for name in columns]
    if table is _memory:
        same.append(table.c.kind != EPISODE)  # those go with their episodes
    return select(table.c.id).where(table.c.mind == bindparam("mind"), *same).distinct().order_by(table.c.id)


_memories = {
    "memory": _ids(_memory, "id"),
    "user": _ids(_memory, "user"),
    "session": _ids(_memory, "session"),
    "source": _ids(_memory, "source_id"),
    "everything": _ids(_memory),
}
_episodes = {
    "episode": _ids(_episode, "id"),
    "source": _ids(_episode, "source_id"),
    "everything": _ids(_episode),
}
_task_bodies = (
    select(_episode.c.id, _episode.c.since, _payload.c.body)
    .select_from(
        _episode.join(_payload, (_payload.c.mind == _episode.c.mind) & (_payload.c.position == _episode.c.task_at))
    )
    .where(
        _episode.c.mind == bindparam("mind"),
        tuple_(_episode.c.id, _episode.c.since) > tuple_(bindparam("after"), bindparam("version")),
    )
    .order_by(_episode.c.id, _episode.c.since)
    .limit(bindparam("most"))
)
_rest = (
    select(*_PLACE)
    .select_from(_event.join(_payload, (_payload.c.mind == _event.c.mind) & (_payload.c.position == _event.c.position)))
    .where(
        _event.c.mind == bindparam("mind"),
        _event.c.position > bindparam("after"),
        *(_event.c.kind != kind for kind in sorted(KEPT_KINDS)),
    )
    .order_by(_event.c.position)
    .limit(bindparam("most"))
)
METADATA = {"user": ("user", "user_id"), "session": ("session", "session_id")}
"""Under these names the metadata of a task says for whom, and in which session, it was done."""


class Target(msgspec.Struct, frozen=True):
    """A request to erase: of what kind, and its id or name."""

    what: What
    value: str = ""


def target_of(
    memory: str | None, episode: str | None, user: str | None, session: str | None, source_id: str | None,
    *, everything: bool,
) -> Target:  # fmt: skip
    """The one thing that was named.

    Raises:
        InvalidInput: nothing, several things, an empty name, or an id that is none.
    """
    named: dict[What, str | None] = {
        "memory": memory, "episode": episode, "user": user, "session": session, "source": source_id,
    }  # fmt: skip
    given: list[tuple[What, str]] = [(what, value) for what, value in named.items() if value is not None]
    if not isinstance(everything, bool):
        raise InvalidInput(f"everything is {shown(everything)}; say True or False", field="everything")
    if len(given) + everything != 1:
        raise InvalidInput(
            "say what is to be erased, and one thing only: memory=, episode=, user=, session=, source_id=, "
            "or everything=True"
        )
    if everything:
        return Target("everything")
    what, value = given[0]
    if not isinstance(value, str) or not value:
        raise InvalidInput(f"{shown(value)} is no {what}: an empty name would mean everybody's", field=what)
    entrance.check_whole(value, what)
    return Target(what, format_id(parse_id(value)) if what in ("memory", "episode") else value)


class Roots(NamedTuple):
    """The episodes and memories that a request names; ``rest`` says that all else goes, too."""

    episodes: list[bytes]
    memories: list[bytes]
    rest: bool = False


def roots_of(snapshot: Snapshot, mind: bytes, target: Target) -> Roots:
    """What is there of a target."""
    value: Any = parse_id(target.value) if target.what in ("memory", "episode") else target.value
    found = [
        [bytes(id) for (id,) in snapshot.rows(statements[target.what], mind=mind, **_value(target, value))]
        if target.what in statements
        else []
        for statements in (_episodes, _memories)
    ]
    episodes, memories = found
    if target.what in METADATA:
        episodes = sorted(set(_by_metadata(snapshot, mind, METADATA[target.what], value)))
    return Roots(episodes, memories, rest=target.what == "everything")


def _value(target: Target, value: Any) -> dict[str, Any]:
    return {} if target.what == "everything" else {"value": value}


def _by_metadata(snapshot: Snapshot, mind: bytes, names: tuple[str, ...], value: str) -> Iterator[bytes]:
    """Episodes whose task says so: every wording of every task is read, so nobody's is passed over."""
    quoted = canonical.encode([value])[1:-1]
    after, version = b"", 0
    while rows := snapshot.rows(_task_bodies, mind=mind, after=after, version=version, most=_PAGE):
        for id, _, body in rows:
            raw = bytes(body)
            if quoted not in raw:
                continue
            told = canonical.decode(raw)["task"].get("metadata", {})
            if any(told.get(name) == value for name in names):
                yield bytes(id)
        after, version = bytes(rows[-1][0]), int(rows[-1][1])


def add_rest(snapshot: Snapshot, mind: bytes, doomed: Doomed, after: int, most: int) -> int:
    """Add what no episode and no memory has, of the events behind a position; the last of them, or 0."""
    rows = snapshot.rows(_rest, mind=mind, after=after, most=most)
    doomed.add(rows)
    return int(rows[-1][1]) if rows else 0


def nothing_there(target: Target) -> NotFound:
    """The error for an id that nothing has."""
    return NotFound(f"there is no {target.what} {target.value} in this mind", id=target.value)
