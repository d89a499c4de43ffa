"""The index of words in PostgreSQL: a row for each document, and an inverted index (GIN) over the terms in them.

Terms are kept as keyed digests of 64 bits, the mind being the key: so a mind's terms are its own in the one index, and
no word lies in it. That matters, as GIN keeps a term for ever, also when no document has it any more. Two terms with
one digest would only make a document a candidate that is none.

In how many documents a term stands is counted in a table: GIN does not know it without looking at all of them, and
PostgreSQL's own statistics are those of all minds together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Column, Index, LargeBinary, MetaData, Table

from tacit.stores.text_index import K1, MAKING, Change, Search, is_of_making, making_of, runs

metadata = MetaData()
text_entry = Table(
    "text_entry",
    metadata,
    Column("mind", LargeBinary(), primary_key=True, nullable=False),
    Column("number", BigInteger(), primary_key=True, nullable=False),
    Column("length", BigInteger(), nullable=False),
    Column("terms", ARRAY(BigInteger()), nullable=False),
    Index("text_entry_terms", "terms", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
)
"""The documents, with the digests of their terms, each once.

GIN's list of new entries, which each search would read for each of its terms, is off: with it searches took up to
eighteen times as long, and writes hardly less.
"""
text_term = Table(
    "text_term",
    metadata,
    Column("mind", LargeBinary(), primary_key=True, nullable=False),
    Column("term", BigInteger(), primary_key=True, autoincrement=False, nullable=False),
    Column("documents", BigInteger(), nullable=False),
)
"""In how many documents a term stands."""
TABLES = (text_entry, text_term)

_ADD = "INSERT INTO text_entry (mind, number, length, terms) VALUES (%s, %s, %s, %s::bigint[])"
_REMOVE = "DELETE FROM text_entry WHERE mind = %s AND number = ANY(%s::bigint[]) RETURNING number"
_GROW = """
    INSERT INTO text_space AS old (mind, space, documents, terms, last, epoch) VALUES (%s, 0, %s, %s, %s, 0)
    ON CONFLICT (mind) DO UPDATE SET documents = old.documents + excluded.documents,
        terms = old.terms + excluded.terms, last = greatest(old.last, excluded.last)
"""
_COUNT_MORE = """
    INSERT INTO text_term AS old (mind, term, documents)
    SELECT %s, term, more FROM unnest(%s::bigint[], %s::bigint[]) AS new (term, more) ORDER BY term
    ON CONFLICT (mind, term) DO UPDATE SET documents = old.documents + excluded.documents
"""
_DROP_UNUSED = "DELETE FROM text_term WHERE mind = %s AND term = ANY(%s::bigint[]) AND documents <= 0"
_LEFT_OF_MAKING = """
    UPDATE text_space SET documents = documents - 1, terms = terms - %s WHERE mind = %s AND last >= %s
"""
_MAKING = "SELECT last, epoch FROM text_space WHERE mind = %s"
_BEGIN = "INSERT INTO text_space VALUES (%s, 0, 0, 0, 0, %s)"
_FORGET = f"DELETE FROM text_space WHERE {is_of_making('mind')}"  # noqa: S608 - a constant
_DONE = f"SELECT coalesce(sum(documents), 0)::bigint FROM text_space WHERE {is_of_making('mind')}"  # noqa: S608
_REPLACE = "DELETE FROM text_entry WHERE mind = %s AND number > %s AND number <= %s RETURNING terms"
_MADE = """
    INSERT INTO text_space AS old (mind, space, documents, terms, last, epoch) VALUES (%s, 0, %s, %s, %s, 0)
    ON CONFLICT (mind) DO UPDATE SET documents = old.documents + excluded.documents,
        terms = old.terms + excluded.terms, last = excluded.last
"""
_TOTALS = """
    INSERT INTO text_space AS old SELECT substr(mind, 2), 0, documents, terms, last, 0 FROM text_space
    WHERE length(mind) = 17
    ON CONFLICT (mind) DO UPDATE SET documents = excluded.documents, terms = excluded.terms, epoch = old.epoch + 1
"""
COUNTS = "SELECT term, documents FROM text_term WHERE mind = %s AND term = ANY(%s::bigint[])"
FIND = f"""
    SELECT number, sum(weight) * {K1 + 1} / (%(at_least)s::float8 + %(by_length)s::float8 * min(length))
    FROM unnest(%(terms)s::bigint[], %(weights)s::float8[]) AS wanted (term, weight)
    CROSS JOIN LATERAL (
        SELECT mind, number, length FROM text_entry
        WHERE terms @> (ARRAY[wanted.term] || %(within)s::bigint[])
        OFFSET 0  -- else it may be planned to read all of a mind's documents for each term
    ) AS entry
    WHERE entry.mind = %(mind)s AND entry.number <= %(upto)s
    GROUP BY number ORDER BY 2 DESC, 1 DESC LIMIT %(most)s
"""  # noqa: S608 - a constant

FIND_NEWEST = f"""
    SELECT number, %(weight)s::float8 * {K1 + 1} / (%(at_least)s::float8 + %(by_length)s::float8 * length)
    FROM text_entry WHERE mind = %(mind)s AND number > %(above)s AND number <= %(upto)s AND terms @> %(terms)s::bigint[]
    ORDER BY 2 DESC, 1 DESC LIMIT %(most)s
"""  # noqa: S608 - a constant


def write(cursor: Any, changes: Sequence[Change]) -> None:
    """Write what a transaction has changed."""
    for adding, mind, run in runs(changes):
        if adding:
            cursor.executemany(_ADD, [(mind, one.number, one.kept_length, _digests(mind, one.terms)) for one in run])
            _count(cursor, mind, run, 1)
            continue
        gone = {row[0] for row in cursor.execute(_REMOVE, (mind, [one.number for one in run])).fetchall()}
        removed = [one for one in run if one.number in gone]
        _count(cursor, mind, removed, -1)
        if removed:
            cursor.executemany(_LEFT_OF_MAKING, [(one.length, making_of(mind), one.number) for one in removed])


def _count(cursor: Any, mind: bytes, changes: Sequence[Change], sign: int) -> None:
    if not changes:
        return
    last = max(change.number for change in changes) if sign > 0 else 0
    cursor.execute(_GROW, (mind, sign * len(changes), sign * sum(change.length for change in changes), last))
    counted = Counter(digest for change in changes for digest in _digests(mind, change.terms))
    _count_terms(cursor, mind, {term: sign * count for term, count in counted.items()})


def _count_terms(cursor: Any, mind: bytes, more: dict[int, int]) -> None:
    cursor.execute(_COUNT_MORE, (mind, list(more), list(more.values())))
    fewer = [term for term, count in more.items() if count < 0]
    if fewer:
        cursor.execute(_DROP_UNUSED, (mind, fewer))


# ── making it anew: in place, as a row holds the digests with which it is to be taken away ───────────────────────────


def begin(cursor: Any, analyser: int) -> int:
    """Begin anew, unless it was begun for the same analyser; how many documents are done."""
    row = cursor.execute(_MAKING, (MAKING,)).fetchone()
    if row is None or row[1] != analyser:
        cursor.execute(_FORGET)
        cursor.execute(_BEGIN, (MAKING, analyser))
    return int(cursor.execute(_DONE).fetchone()[0])


def rebuilt(cursor: Any, mind: bytes) -> int:
    """Up to which number the documents of a mind were made anew."""
    row = cursor.execute(_MAKING, (making_of(mind),)).fetchone()
    return int(row[0]) if row else 0


def replace(cursor: Any, mind: bytes, upto: int, changes: Sequence[Change]) -> None:
    """Replace the documents of a mind behind those that were made anew, up to a number."""
    gone = cursor.execute(_REPLACE, (mind, rebuilt(cursor, mind), upto)).fetchall()
    entries = [(mind, one.number, one.kept_length, _digests(mind, one.terms)) for one in changes]
    if entries:
        cursor.executemany(_ADD, entries)
    counted = Counter(digest for *_, digests in entries for digest in digests)
    counted.subtract(digest for (digests,) in gone for digest in digests)
    _count_terms(cursor, mind, {term: count for term, count in counted.items() if count})
    cursor.execute(_MADE, (making_of(mind), len(changes), sum(one.length for one in changes), upto))


def end(cursor: Any) -> None:
    """Let the totals be those of what was made anew."""
    cursor.execute(_TOTALS)
    cursor.execute(_FORGET)


def counts(cursor: Any, mind: bytes, terms: Sequence[str]) -> dict[str, int]:
    """In how many documents each of the terms stands; those that stand in none are left out."""
    by_digest = {_digest(mind, term): term for term in terms}
    found = dict(cursor.execute(COUNTS, (mind, list(by_digest))).fetchall())
    return {term: found[digest] for digest, term in by_digest.items() if digest in found}


def find(cursor: Any, mind: bytes, search: Search, most: int) -> list[tuple[int, float]]:
    """The numbers of the best documents, with their scores."""
    terms, weights = _digests(mind, search.weights), list(search.weights.values())
    within = _digests(mind, search.within)
    values: dict[str, Any] = {
        "mind": mind,
        "upto": search.upto,
        "at_least": search.at_least,
        "by_length": search.by_length,
        "most": most,
    }
    if search.above:  # planned anew each time: which index is the better one depends on how frequent the term is
        values |= {"above": search.above, "terms": [terms[0], *within], "weight": weights[0]}
        rows = cursor.execute(FIND_NEWEST, values, prepare=False).fetchall()
    else:
        rows = cursor.execute(FIND, values | {"terms": terms, "weights": weights, "within": within}).fetchall()
    return [(number, score) for number, score in rows]


def _digests(mind: bytes, terms: Sequence[str] | dict[str, float]) -> list[int]:
    return [_digest(mind, term) for term in terms]


@lru_cache(maxsize=65_536)
def _digest(mind: bytes, term: str) -> int:
    return int.from_bytes(blake2b(term.encode(), digest_size=8, key=mind).digest(), "big", signed=True)
