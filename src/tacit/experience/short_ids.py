"""Short ids: an episode or a memory named by the beginning of its id, as people type it."""

from __future__ import annotations

import re
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Table, bindparam, select

from tacit.errors import InvalidInput, NotFound, shown
from tacit.experience.memory.memory import EPISODE
from tacit.ids import ID_BYTES, format_id, parse_id
from tacit.stores import schema
from tacit.stores.port import Snapshot

LEAST = 8
"""Hexadecimal digits, so that a beginning hardly ever fits by accident."""
_MOST_TOLD = 3
_DIGITS = re.compile(r"[0-9a-f]+", re.IGNORECASE)
Named: TypeAlias = Literal["episode", "memory"]


def _between(table: Table, *conditions: ColumnElement[bool]) -> Any:
    return (
        select(table.c.id)
        .where(
            *conditions,
            table.c.mind == bindparam("mind"),
            table.c.id >= bindparam("first"),
            table.c.id <= bindparam("last"),
        )
        .distinct()
        .order_by(table.c.id)
        .limit(_MOST_TOLD)
    )


_found: dict[Named, Any] = {
    "episode": _between(schema.episode),
    "memory": _between(schema.memory, schema.memory.c.kind != EPISODE),
}
_several: dict[Named, str] = {"episode": "episodes", "memory": "memories"}


def is_short(given: str) -> bool:
    """Whether a text could be the beginning of an id, and is not a whole one."""
    digits = given.replace("-", "")
    return LEAST <= len(digits) < 2 * ID_BYTES and _DIGITS.fullmatch(digits) is not None


def check_id(given: str) -> None:
    """Refuse what is neither an id nor the beginning of one.

    Raises:
        InvalidInput: it is neither, or too short a beginning.
    """
    digits = given.replace("-", "")
    if 0 < len(digits) < LEAST and _DIGITS.fullmatch(digits):
        raise InvalidInput(f"{shown(given)} is too short; give at least {LEAST} characters of the id", given=given)
    if not is_short(given):
        parse_id(given)


def whole_id(snapshot: Snapshot, mind: bytes, given: str, of: Named = "episode") -> str:
    """The id of the one episode (or memory, that holds or held) whose id begins so; a whole id as it is, whether there
    is one of that id or not.

    Raises:
        InvalidInput: it is neither an id nor the beginning of one, or several begin so.
        NotFound: none begins so.
    """
    check_id(given)
    if not is_short(given):
        return given
    digits, width = given.replace("-", ""), 2 * ID_BYTES
    first, last = (bytes.fromhex(digits.ljust(width, filler)) for filler in "0f")
    rows = snapshot.rows(_found[of], mind=mind, first=first, last=last)
    found = [format_id(bytes(row[0])) for row in rows]
    if not found:
        if of == "memory" and snapshot.rows(_found["episode"], mind=mind, first=first, last=last):
            raise InvalidInput(f"{given} begins the id of an episode, no memory: see 'tacit episode'", episode=given)
        raise NotFound(f"there is no {of} whose id begins with {given}", **{of: given})
    if len(found) > 1:
        listed = ", ".join(found[: _MOST_TOLD - 1]) + (", …" if len(found) == _MOST_TOLD else "")
        raise InvalidInput(f"several {_several[of]} begin with {given}: {listed}; give more of the id", **{of: given})
    return found[0]
