"""Which importer reads a path: the one that is named, or the one that recognises the content."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tacit.errors import InvalidInput, shown
from tacit.experience.importers.base import FileImporter
from tacit.experience.importers.claude_code import ClaudeCode
from tacit.experience.importers.codex import Codex
from tacit.experience.importers.files import files_of
from tacit.experience.importers.openai_messages import OpenAIMessages
from tacit.experience.importers.otel import Otel
from tacit.experience.importers.own_jsonl import OwnJsonl
from tacit.experience.importers.port import Format, Imported, Importer, ImportOptions, Rejected
from tacit.experience.importers.react import React

IMPORTERS: tuple[FileImporter, ...] = (OwnJsonl(), Otel(), ClaudeCode(), Codex(), OpenAIMessages(), React())
"""In the order in which they are asked whether they recognise a file: the most particular first."""

_SUFFIXES: frozenset[str] = frozenset().union(*(importer.suffixes for importer in IMPORTERS))
_HEAD_BYTES = 256 * 1024


class EachByItsContent:
    """Reads a folder whose files may be of different formats: each file by the importer that recognises it.

    A file that none recognises is rejected as a whole; an empty one holds nothing, as in every format.
    """

    name = "auto"
    description = "Each file of a folder by its content"

    def recognises(self, head: bytes, path: Path) -> bool:
        return any(importer.recognises(head, path) for importer in IMPORTERS)

    def read(self, path: Path, options: ImportOptions) -> Iterator[Imported | Rejected]:
        for found in files_of(path, _SUFFIXES):
            if isinstance(found, Rejected):
                yield found
                continue
            yield from _read_by_content(*found, options)


def importer_for(format: Format, path: Path, called: str = "") -> Importer:
    """The importer of this format; with "auto", the one that recognises a file, or each file of a folder.

    ``called`` is what an error calls a source that nobody knows by its path.

    Raises:
        NotFound: there is no such path.
        InvalidInput: the format is not known, or nothing recognises the content.
    """
    files = files_of(path, _SUFFIXES)
    first = next(files, None)  # also raises NotFound, whatever the format
    if format != "auto":
        return _named(format)
    if first is None:
        known = ", ".join(sorted(_SUFFIXES))
        raise InvalidInput(f"there is nothing to import in the folder {path}: no file ends in {known}", path=str(path))
    for found in chain([first] if first else [], files):
        if not isinstance(found, Rejected) and (importer := _recognised(found[1])):
            return EachByItsContent() if path.is_dir() else importer
    called = called or str(path)
    if path.is_file() and path.stat().st_size == 0:
        raise InvalidInput(f"{called} is empty; there is nothing to import", path=called)
    raise InvalidInput(
        f"nothing in {called} looks like a format that can be imported; name its format: {_listing()}", path=called
    )


def _named(format_name: str) -> Importer:
    for importer in IMPORTERS:
        if importer.name == format_name:
            return importer
    raise InvalidInput(f"there is no format {shown(format_name)}; formats are {_listing()}", format=shown(format_name))


def _read_by_content(shown: str, file: Path, options: ImportOptions) -> Iterator[Imported | Rejected]:
    try:
        importer, empty = _recognised(file), file.stat().st_size == 0
    except OSError as error:
        yield Rejected(shown, f"cannot be read: {error.strerror or error}")
        return
    if importer is not None:
        yield from importer.read_file(file, shown, options)
    elif not empty:
        yield Rejected(
            shown, "looks like no format that can be imported; if it is one, import it alone with its format"
        )


def _recognised(file: Path) -> FileImporter | None:
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    return next((importer for importer in IMPORTERS if importer.recognises(head, file)), None)


def _listing() -> str:
    return "; ".join(f"{importer.name} ({importer.description})" for importer in IMPORTERS)
