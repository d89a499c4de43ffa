"""Which importer reads a path: the one that is named, or the one that recognises the content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Generic

from tacit.errors import InvalidInput, shown
from tacit.experience.importers.base import FileImporter, Found, How, Reader, Told
from tacit.experience.importers.claude_code import ClaudeCode
from tacit.experience.importers.codex import Codex
from tacit.experience.importers.files import files_of
from tacit.experience.importers.openai_messages import OpenAIMessages
from tacit.experience.importers.otel import Otel
from tacit.experience.importers.own_jsonl import OwnJsonl
from tacit.experience.importers.port import Rejected
from tacit.experience.importers.react import React

_HEAD_BYTES = 256 * 1024


class Registry(Generic[Told, How, Found]):
    """Importers of one kind, in the order in which they are asked whether they recognise a file.

    With the format "auto" it reads a folder itself, for its files may be of different formats: each by the importer
    that recognises it. A file that none recognises is rejected as a whole; an empty one holds nothing, as in every
    format.
    """

    name = "auto"
    description = "Each file of a folder by its content"

    def __init__(self, importers: Sequence[Reader[Told, How, Found]]) -> None:
        self._importers = importers
        self._suffixes: frozenset[str] = frozenset().union(*(importer.suffixes for importer in importers))

    def importer_for(
        self, format: str, path: Path, called: str = ""
    ) -> Reader[Told, How, Found] | Registry[Told, How, Found]:
        """The importer of this format; with "auto", the one that recognises a file, or each file of a folder.

        ``called`` is what an error calls a source that nobody knows by its path.

        Raises:
            NotFound: there is no such path.
            InvalidInput: the format is not known, or nothing recognises the content.
        """
        files = files_of(path, self._suffixes)
        first = next(files, None)  # also raises NotFound, whatever the format
        if format != self.name:
            return self._named(format)
        if first is None:
            known = ", ".join(sorted(self._suffixes))
            raise InvalidInput(
                f"there is nothing to import in the folder {path}: no file ends in {known}", path=str(path)
            )
        for found in chain([first] if first else [], files):
            if not isinstance(found, Rejected) and (importer := self._recognised(found[1])):
                return self if path.is_dir() else importer
        called = called or str(path)
        if path.is_file() and path.stat().st_size == 0:
            raise InvalidInput(f"{called} is empty; there is nothing to import", path=called)
        raise InvalidInput(
            f"nothing in {called} looks like a format that can be imported; name its format: {self._listing()}",
            path=called,
        )

    def recognises(self, head: bytes, path: Path) -> bool:
        """Whether one of the importers recognises a file that begins so."""
        return any(importer.recognises(head, path) for importer in self._importers)

    def read(self, path: Path, options: How) -> Iterator[Found | Rejected]:
        """All that the files of a folder tell, each read by the importer that recognises it."""
        for found in files_of(path, self._suffixes):
            if isinstance(found, Rejected):
                yield found
                continue
            yield from self._read_by_content(*found, options)

    def _named(self, format_name: str) -> Reader[Told, How, Found]:
        for importer in self._importers:
            if importer.name == format_name:
                return importer
        raise InvalidInput(
            f"there is no format {shown(format_name)}; formats are {self._listing()}", format=shown(format_name)
        )

    def _read_by_content(self, shown: str, file: Path, options: How) -> Iterator[Found | Rejected]:
        try:
            importer, empty = self._recognised(file), file.stat().st_size == 0
        except OSError as error:
            yield Rejected(shown, f"cannot be read: {error.strerror or error}")
            return
        if importer is not None:
            yield from importer.read_file(file, shown, options)
        elif not empty:
            yield Rejected(
                shown, "looks like no format that can be imported; if it is one, import it alone with its format"
            )

    def _recognised(self, file: Path) -> Reader[Told, How, Found] | None:
        with file.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        return next((importer for importer in self._importers if importer.recognises(head, file)), None)

    def _listing(self) -> str:
        return "; ".join(f"{importer.name} ({importer.description})" for importer in self._importers)


IMPORTERS: tuple[FileImporter, ...] = (OwnJsonl(), Otel(), ClaudeCode(), Codex(), OpenAIMessages(), React())
"""In the order in which they are asked whether they recognise a file: the most particular first."""

importer_for = Registry(IMPORTERS).importer_for
