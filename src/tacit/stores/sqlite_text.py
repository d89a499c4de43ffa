"""The index of words in SQLite: one FTS5 table for all minds, which holds nothing but terms and in which documents they
stand.

Each term bears in front the number of its mind's space, so that its documents are the mind's own. A row's number holds
the space, the document's number and its length: FTS5 ranks by sizes that it keeps in a table of its own, where looking
them up takes several times as long as finding the documents. FTS5 keeps no text, and takes a document away only if it
is told the very terms that were put in; with its ``secure-delete`` they are gone at once then, and not only marked.

FTS5 counts a term's documents by reading through all of them: 14 ms for a word in 800,000. A table of counts would make
each write several times as long, so the counts of frequent terms are remembered, and counted on from there.
"""

# ruff: noqa: S608 - the statements hold only names and constants of this module

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from tacit.errors import Conflict, LimitExceeded
from tacit.stores.text_index import K1, MAX_LENGTH, MAX_NUMBER, Change, Search, Space, runs

TABLE = "text_index"
VOCABULARY = "text_vocabulary"
PARTS = ("config", "data", "idx")


def create_table(name: str) -> str:
    """What makes an empty index of that name."""
    return f"CREATE VIRTUAL TABLE {name} USING fts5(terms, content='', columnsize=0, detail=none, tokenize='ascii')"


def secure_delete(name: str) -> str:
    """What makes terms that are taken away be gone at once."""
    return f"INSERT INTO {name}({name}, rank) VALUES ('secure-delete', 1)"


CREATE = {
    TABLE: create_table(TABLE),
    VOCABULARY: f"CREATE VIRTUAL TABLE {VOCABULARY} USING fts5vocab({TABLE}, row)",
}
SETTINGS = (secure_delete(TABLE),)
SHADOWS = tuple(f"{TABLE}_{part}" for part in PARTS)
"""The tables in which FTS5 keeps what is in its own."""

_LENGTH_BITS = MAX_LENGTH.bit_length()
_SPACE_AT = _LENGTH_BITS + MAX_NUMBER.bit_length()
_MOST_SPACES = 2 ** (63 - _SPACE_AT)
_FREQUENT = 500  # documents of a term from which on its count is remembered
_COUNTS_REMEMBERED = 10_000
SPACE = "SELECT space, documents, terms, last, epoch FROM text_space WHERE mind = ?"
_NEW_SPACE = (
    "INSERT INTO text_space SELECT ?, coalesce(max(space), 0) + 1, 0, 0, 0, 0 FROM text_space "
    "RETURNING space, documents, terms, last, epoch"
)
_GROW = """
    UPDATE text_space SET documents = documents + ?, terms = terms + ?, last = max(last, ?), epoch = epoch + ?
    WHERE mind = ?
"""
COUNT = f"SELECT doc FROM {VOCABULARY} WHERE term = ?"
COUNT_ON = f"SELECT count(*) FROM {TABLE} WHERE {TABLE} MATCH ? AND rowid BETWEEN ? AND ?"
WITH_TERM = f"SELECT rowid AS place, ? AS weight FROM {TABLE} WHERE {TABLE} MATCH ? AND rowid BETWEEN ? AND ?"
_BEST = f"""
    SELECT place >> {_LENGTH_BITS} & {MAX_NUMBER},
        sum(weight) * {K1 + 1} / (? + ? * (place & {MAX_LENGTH}))
    FROM ({{}}) GROUP BY place ORDER BY 2 DESC, 1 DESC LIMIT ?
"""


class TermCounts:
    """Counts of frequent terms, remembered from one search to the next. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # nobody else changes the order while one entry moves or goes
        self._counts: OrderedDict[tuple[int, int, str], tuple[int, int]] = OrderedDict()

    def get(self, space: Space, term: str) -> tuple[int, int] | None:
        """Up to which document the term was counted, and the count; None if that is not known, or holds no longer."""
        key = space.space, space.epoch, term
        with self._lock:
            found = self._counts.get(key)
            if found is None or found[0] > space.last:  # whoever asks looks at an older state
                return None
            self._counts.move_to_end(key)
            return found

    def put(self, space: Space, term: str, count: int) -> None:
        with self._lock:
            self._counts[space.space, space.epoch, term] = space.last, count
            if len(self._counts) > _COUNTS_REMEMBERED:
                self._counts.popitem(last=False)


def create(connection: Any) -> None:
    """Make the empty index."""
    for statement in (*CREATE.values(), *SETTINGS):
        connection.execute(statement)


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def write(connection: Any, changes: Sequence[Change]) -> None:
    """Write what a transaction has changed.

    Raises:
        Conflict: a document that is added is there already.
        LimitExceeded: there are more minds than an index can hold.
    """
    for adding, mind, run in runs(changes):
        space = space_of(connection, mind)
        if adding:
            _add(connection, space or new_space(connection, mind), run)
        elif space:
            gone = _place_of_all.remove(connection, space, run)
            if gone:
                _grow(connection, gone, -1, 1)


def space_of(connection: Any, mind: bytes) -> Space | None:
    """A mind's part of the index; None when it has none yet."""
    row = connection.execute(SPACE, (mind,)).fetchone()
    return Space(*row) if row else None


def new_space(connection: Any, mind: bytes) -> Space:
    """Make a mind's part of the index, without documents.

    Raises:
        LimitExceeded: there are more minds than an index can hold.
    """
    space = Space(*connection.execute(_NEW_SPACE, (mind,)).fetchone())
    if space.space >= _MOST_SPACES:
        raise LimitExceeded(f"a file holds memories of at most {_MOST_SPACES - 1:,} minds; use a further store")
    return space


def _add(connection: Any, space: Space, changes: Sequence[Change]) -> None:
    late = [change for change in changes if change.number <= space.last]
    again = [change for change in late if _place_of_all.has(connection, space, change)]
    if again or len({change.number for change in changes}) < len(changes):
        raise Conflict("a document is in the index already", table=TABLE)
    _place_of_all.add(connection, space, changes)
    _grow(connection, changes, 1, 1 if late else 0)


def _grow(connection: Any, changes: Sequence[Change], sign: int, epochs: int) -> None:
    last = max(change.number for change in changes)
    terms = sum(change.length for change in changes)
    connection.execute(_GROW, (sign * len(changes), sign * terms, last, epochs, changes[0].mind))


class Place:
    """A table of FTS5 to which documents are written."""

    def __init__(self, table: str) -> None:
        self._add = f"INSERT INTO {table}(rowid, terms) VALUES (?, ?)"
        self._remove = f"INSERT INTO {table}({table}, rowid, terms) VALUES ('delete', ?, ?)"
        self._is_there = f"SELECT 1 FROM {table} WHERE {table} MATCH ? AND rowid = ?"

    def has(self, connection: Any, space: Space, change: Change) -> bool:
        place = _place(space, change.number, change.kept_length)
        return connection.execute(self._is_there, (_quoted(space, change.terms[0]), place)).fetchone() is not None

    def add(self, connection: Any, space: Space, changes: Sequence[Change]) -> None:
        connection.executemany(self._add, [_row(space, change) for change in changes])

    def remove(self, connection: Any, space: Space, changes: Sequence[Change]) -> list[Change]:
        """Take away those that are there, each once; which they were."""
        there = {change.number: change for change in changes if self.has(connection, space, change)}
        connection.executemany(self._remove, [_row(space, change) for change in there.values()])
        return list(there.values())


_place_of_all = Place(TABLE)


def _row(space: Space, change: Change) -> tuple[int, str]:
    before = _prefix(space.space)
    terms = " ".join([before + term for term in change.terms])
    return _place(space, change.number, change.kept_length), terms


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def counts(connection: Any, space: Space, terms: Sequence[str], remembered: TermCounts | None) -> dict[str, int]:
    """In how many documents each of the terms stands; those that stand in none are left out."""
    found = ((term, _count(connection, space, term, remembered)) for term in dict.fromkeys(terms))
    return {term: count for term, count in found if count}


def _count(connection: Any, space: Space, term: str, remembered: TermCounts | None) -> int:
    known = remembered.get(space, term) if remembered is not None else None
    if known is None:
        row = connection.execute(COUNT, (_prefix(space.space) + term,)).fetchone()
        count = int(row[0]) if row else 0
    else:
        last, count = known
        if last == space.last:
            return count
        behind = (_place(space, last + 1, 0), _place(space, space.last, MAX_LENGTH))
        count += int(connection.execute(COUNT_ON, (_quoted(space, term), *behind)).fetchone()[0])
    if remembered is not None and count >= _FREQUENT:
        remembered.put(space, term, count)
    return count


def find(connection: Any, space: Space, search: Search, most: int) -> list[tuple[int, float]]:
    """The numbers of the best documents, with their scores."""
    among = (_place(space, search.above + 1, 0), _place(space, search.upto, MAX_LENGTH))
    values: list[object] = [search.at_least, search.by_length]
    inside = "".join(f" AND {_quoted(space, term)}" for term in search.within)
    for term, weight in search.weights.items():
        values += [weight, _quoted(space, term) + inside, *among]
    sql = _BEST.format(" UNION ALL ".join([WITH_TERM] * len(search.weights)))
    found: list[tuple[int, float]] = connection.execute(sql, (*values, most)).fetchall()
    return found


def _place(space: Space, number: int, length: int) -> int:
    return space.space << _SPACE_AT | number << _LENGTH_BITS | length


def _quoted(space: Space, term: str) -> str:
    return f'"{_prefix(space.space)}{term}"'


def _prefix(space: int) -> str:
    """The number of a space in digits of which only the last is one of 0 … f, so that no prefix begins another one."""
    first, rest = "", space >> 4
    while rest:
        first = chr(ord("g") + (rest & 15)) + first
        rest >>= 4
    return f"{first}{space & 15:x}"
