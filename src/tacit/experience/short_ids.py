"""Short ids: an episode named by the beginning of its id, as people type it."""

from __future__ import annotations

import re

from sqlalchemy import bindparam, select

from tacit.errors import InvalidInput, NotFound, shown
from tacit.ids import ID_BYTES, format_id, parse_id
from tacit.stores import schema
from tacit.stores.port import Snapshot

LEAST = 8
"""Hexadecimal digits, so that a beginning hardly ever fits by accident."""
_MOST_TOLD = 3
_DIGITS = re.compile(r"[0-9a-f]+", re.IGNORECASE)
_episode = schema.episode
_between = (
    select(_episode.c.id)
    .where(
        _episode.c.mind == bindparam("mind"),
        _episode.c.id >= bindparam("first"),
        _episode.c.id <= bindparam("last"),
    )
    .distinct()
    .order_by(_episode.c.id)
    .limit(_MOST_TOLD)
)


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


def whole_id(snapshot: Snapshot, mind: bytes, given: str) -> str:
    """The id of the one episode whose id begins so; a whole id as it is, whether there is such an episode or not.

    Raises:
        InvalidInput: it is neither an id nor the beginning of one, or several begin so.
        NotFound: none begins so.
    """
    check_id(given)
    if not is_short(given):
        return given
    digits, width = given.replace("-", ""), 2 * ID_BYTES
    first, last = (bytes.fromhex(digits.ljust(width, filler)) for filler in "0f")
    found = [format_id(bytes(row[0])) for row in snapshot.rows(_between, mind=mind, first=first, last=last)]
    if not found:
        raise NotFound(f"there is no episode whose id begins with {given}", episode=given)
    if len(found) > 1:
        several = ", ".join(found[: _MOST_TOLD - 1]) + (", …" if len(found) == _MOST_TOLD else "")
        raise InvalidInput(f"several episodes begin with {given}: {several}; give more of the id", episode=given)
    return found[0]
