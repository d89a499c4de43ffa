"""Make what is to be remembered fit the limits: refuse it, shorten it with a visible mark, or split its text.

Only its text, its speaker and its metadata are ever shortened. A user, a session, an agent, a subject or a source id
that is too long is refused: two of them could become the same one, and what belongs to one person be taken for
another's.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tacit.errors import InvalidInput, LimitExceeded
from tacit.experience.importers.clean import clean
from tacit.experience.importers.port import Fit, ImportedMemory
from tacit.experience.importers.shorten import cut, depth, flattened, shorten
from tacit.experience.limits import Limits
from tacit.experience.memory.check import check_said
from tacit.experience.memory.memory import Said


def fit_memory(memory: ImportedMemory, limits: Limits, mode: Fit) -> Iterator[ImportedMemory]:
    """The memory within the limits: one, or with ``mode`` "split" as many as its text needs.

    The parts of a split memory tell in their metadata which ``part`` of how many ``parts`` they are. The first keeps
    the id or key; a source id gets the number of the part, as in ``D8:6/2``.

    Raises:
        LimitExceeded: it may not be changed, or cannot be made to fit.
        InvalidInput: it holds what no shortening can mend.
    """
    said, shortened, _ = clean(memory.said)
    if shortened and mode == "refuse":
        raise InvalidInput(
            "holds control characters, or integers beyond ±2^53; import it with fit='truncate' to replace them"
        )
    said, count = _within(said, limits, mode)
    texts = _texts(said.text, limits.memory_bytes, mode)
    shortened += count + (texts != [said.text])
    for number, text in enumerate(texts, start=1):
        part = msgspec.structs.replace(said, text=text) if len(texts) == 1 else _part(said, text, number, len(texts))
        check_said(part, limits)
        first = number == 1
        yield ImportedMemory(
            part,
            memory.location,
            shortened if first else 0,
            memory.id if first else "",
            memory.key if first else f"{memory.key or memory.id}/{number}",
        )


def _within(said: Said, limits: Limits, mode: Fit) -> tuple[Said, int]:
    """Speaker and metadata within the limits, and how many of the two were changed for it."""
    changed: dict[str, object] = {}
    if len(said.speaker.encode()) > limits.name_bytes:
        _may_be_changed(mode, f"the speaker is longer than {limits.name_bytes:,} bytes")
        changed["speaker"] = shorten(said.speaker, limits.name_bytes)
    if depth(said.metadata) > limits.json_depth:
        _may_be_changed(mode, f"the metadata is nested deeper than {limits.json_depth} levels")
        changed["metadata"] = flattened(said.metadata, limits.json_depth)
    free = msgspec.json.encode(said.metadata)
    if len(free) + limits.memory_bytes > limits.event_bytes and len(free) > limits.text_bytes:
        _may_be_changed(mode, f"the metadata has {len(free):,} bytes; at most {limits.event_bytes:,} may be kept")
        changed["metadata"] = {"_shortened": shorten(free.decode(), limits.text_bytes)}
    return msgspec.structs.replace(said, **changed), len(changed)


def _texts(text: str, limit: int, mode: Fit) -> list[str]:
    size = len(text) if text.isascii() else len(text.encode())
    if size <= limit:
        return [text]
    _may_be_changed(mode, f"the text has {size:,} bytes; at most {limit:,} may be kept")
    return list(_pieces(text, limit)) if mode == "split" else [shorten(text, limit)]


def _pieces(text: str, limit: int) -> Iterator[str]:
    """The text in pieces of at most ``limit`` bytes: cut at the end of a line or a word in their latter half, if there
    is one. White space at a cut is left out."""
    raw = text.strip().encode()
    start = 0
    while len(raw) - start > limit:
        window = cut(raw[start : start + limit], limit)
        if not window:
            raise LimitExceeded(f"not one character of the text fits into {limit} bytes", limit=limit)
        places = (window.rfind(mark, len(window) // 2) for mark in ("\n", " "))
        end = next((place for place in places if place > 0), len(window))
        if piece := window[:end].strip():
            yield piece
        start += len(window[:end].encode())
    if rest := raw[start:].decode().strip():
        yield rest


def _part(said: Said, text: str, number: int, parts: int) -> Said:
    return msgspec.structs.replace(
        said,
        text=text,
        source_id=f"{said.source_id}/{number}" if said.source_id else "",
        subject="" if number > 1 else said.subject,  # a second memory of the subject would close the first
        metadata={**said.metadata, "part": number, "parts": parts},
    )


def _may_be_changed(mode: Fit, problem: str) -> None:
    if mode == "refuse":
        raise LimitExceeded(f"{problem}; import it with fit='truncate' to shorten it with a mark")
