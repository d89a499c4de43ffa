"""Turns SQLAlchemy Core statements into SQL text once, so that hot paths talk to the driver directly."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql import ClauseElement, Executable


class Compiled:
    """The SQL of one statement for one dialect, and where its values go."""

    __slots__ = ("_defaults", "_order", "sql")

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        self.sql = str(compiled)
        self._order: tuple[str, ...] | None = tuple(compiled.positiontup) if compiled.positional else None  # type: ignore[attr-defined]
        self._defaults: dict[str, Any] = dict(compiled.params)

    def values(self, given: Mapping[str, Any]) -> tuple[Any, ...] | dict[str, Any]:
        """The values in the shape that the driver wants: by position or by name."""
        merged = {**self._defaults, **given} if self._defaults else dict(given)
        return merged if self._order is None else tuple([merged[name] for name in self._order])


class Compiler:
    """Compiles for one dialect, remembering the statements that come again (module constants)."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.compiled = lru_cache(maxsize=512)(self._compile)
        self.insert_sql = lru_cache(maxsize=128)(self._insert_sql)

    def _compile(self, statement: Executable) -> Compiled:
        assert isinstance(statement, ClauseElement)
        return Compiled(statement, self._dialect)

    def _insert_sql(self, table: Table) -> str:
        """``INSERT`` of one whole row, with the dialect's positional markers."""
        mark = "?" if self._dialect.paramstyle == "qmark" else "%s"
        marks = ", ".join([mark] * len(table.columns))
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        return f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'  # noqa: S608 - names come from the schema
