"""What stands in a database beside its rows (tables, columns, keys, indexes, triggers, views), held against the schema.

Each store says what it has found, in the words of this module; what the schema wants, and how the two differ, is the
same for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from sqlalchemy import Table, UniqueConstraint
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.schema import CreateIndex

Objects: TypeAlias = dict[tuple[str, str], str]
"""The definition of each object, by the table that it hangs on ("" for none) and by what it is called here."""


def table(name: str) -> tuple[str, str]:
    """The key of a table; its definition is empty: it is in its columns."""
    return name, f"table {name}"


def column(of: str, name: str) -> tuple[str, str]:
    """The key of a column; see :func:`column_definition`."""
    return of, f"column {of}.{name}"


def primary_key(of: str) -> tuple[str, str]:
    """The key of a primary key; its definition is its columns, as :func:`listed`."""
    return of, f"primary key of {of}"


def unique_key(of: str, columns: str) -> tuple[str, str]:
    """The key of a unique constraint, whose name only some databases tell, on columns as :func:`listed`."""
    return of, f"unique key {columns} of {of}"


def index(of: str, name: str) -> tuple[str, str]:
    """The key of an index that is no constraint's; see :func:`index_definition`."""
    return of, f"index {name}"


def listed(columns: Iterable[str]) -> str:
    """Names of columns, as databases write them."""
    return f"({', '.join(columns)})"


def column_definition(kind: str, *, nullable: bool) -> str:
    """What a column holds, from its type in SQL."""
    return kind.replace('"', "").lower() + ("" if nullable else " not null")


_PARENTHESES = str.maketrans("", "", "()")


def index_definition(sql: str) -> str:
    """What an index is, from the statement that makes it; the same for each way in which a database may repeat it."""
    words = " ".join(sql.replace('"', "").split()).lower()
    head, _, condition = words.replace(" using btree", "").replace(" if not exists", "").partition(" where ")
    head = re.sub(r" on (\w+\.)?(\w+)( using \w+)? ?\(", r" on \2\3 (", head)
    head = re.sub(r" with \((\w+) ?= ?'?(\w+)'?\)", r" with (\1=\2)", head)
    condition = condition.translate(_PARENTHESES).replace("::text", "")  # which PostgreSQL adds
    return f"{head} where {condition}" if condition else head


def wanted(dialect: Dialect, tables: Iterable[Table]) -> Objects:
    """What a store's database should hold for some tables."""
    objects: Objects = {}
    for each in tables:
        objects |= _wanted_of(each, dialect)
    return objects


def _wanted_of(of: Table, dialect: Dialect) -> Objects:
    name = of.name
    objects: Objects = {table(name): "", primary_key(name): listed(part.name for part in of.primary_key.columns)}
    for part in of.columns:
        kind = str(part.type.compile(dialect=dialect))
        objects[column(name, part.name)] = column_definition(kind, nullable=bool(part.nullable))
    for constraint in of.constraints:
        if isinstance(constraint, UniqueConstraint):
            objects[unique_key(name, listed(part.name for part in constraint.columns))] = ""
    for each in of.indexes:
        objects[index(name, str(each.name))] = index_definition(str(CreateIndex(each).compile(dialect=dialect)))
    return objects


def differences(found: Objects, wanted: Objects) -> list[str]:
    """What is missing, what was altered, and what does not belong there.

    Of a table that is missing or does not belong there, no more than that is said. Whoever can alter a database may
    have chosen names in it to mislead, so what is not printable is written as an escape, and each problem is one line.
    """
    return [_one_line(problem) for problem in _differences(found, wanted)]


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _differences(found: Objects, wanted: Objects) -> list[str]:
    missing, stray = _tables(wanted) - _tables(found), _tables(found) - _tables(wanted)
    problems = [f"table {name} is missing" for name in sorted(missing)]
    problems += [f"table {name} does not belong to the store; drop it" for name in sorted(stray)]
    others = missing | stray
    for (of, what), definition in sorted(wanted.items()):
        if of in others:
            continue
        if (of, what) not in found:
            problems.append(f"{what} is missing")
        elif found[of, what] != definition:
            problems.append(f"{what} was altered: it is '{found[of, what]}', and should be '{definition}'")
    strangers = sorted(key for key in found.keys() - wanted.keys() if key[0] not in others)
    return problems + [f"{what} does not belong to the store; drop it" for _, what in strangers]


def _tables(objects: Objects) -> set[str]:
    return {of for of, what in objects if what == f"table {of}"}
