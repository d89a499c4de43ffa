"""Which importer reads a path: the one that is named, or the one that recognises the content."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from tacit.errors import InvalidInput
from tacit.experience.importers.base import FileImporter
from tacit.experience.importers.claude_code import ClaudeCode
from tacit.experience.importers.codex import Codex
from tacit.experience.importers.files import files_of
from tacit.experience.importers.openai_messages import OpenAIMessages
from tacit.experience.importers.otel import Otel
from tacit.experience.importers.own_jsonl import OwnJsonl
from tacit.experience.importers.port import Format, Importer, Rejected
from tacit.experience.importers.react import React

IMPORTERS: tuple[FileImporter, ...] = (OwnJsonl(), Otel(), ClaudeCode(), Codex(), OpenAIMessages(), React())
"""In the order in which they are asked whether they recognise a file: the most particular first."""

_SUFFIXES: frozenset[str] = frozenset().union(*(importer.suffixes for importer in IMPORTERS))
_HEAD_BYTES = 256 * 1024


def importer_for(format: Format, path: Path) -> Importer:
    """The importer of this format; with "auto", the one that recognises the path's first telling file.

    Raises NotFound when there is no such path, and InvalidInput when the format is not known or nothing recognises
    the content.
    """
    files = files_of(path, _SUFFIXES)
    first = next(files, None)  # also raises NotFound, whatever the format
    if format != "auto":
        return _named(format)
    for found in chain([first] if first else [], files):
        if not isinstance(found, Rejected) and (importer := _recognised(found[1])):
            return importer
    raise InvalidInput(
        f"nothing in {path} looks like a format that can be imported; name its format: {_listing()}", path=str(path)
    )


def _named(format_name: str) -> Importer:
    for importer in IMPORTERS:
        if importer.name == format_name:
            return importer
    raise InvalidInput(f"there is no format {format_name!r}; formats are {_listing()}", format=format_name)


def _recognised(file: Path) -> Importer | None:
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    return next((importer for importer in IMPORTERS if importer.recognises(head, file)), None)


def _listing() -> str:
    return "; ".join(f"{importer.name} ({importer.description})" for importer in IMPORTERS)
