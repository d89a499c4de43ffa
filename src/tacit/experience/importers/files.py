"""Which files a path means, and the JSON values in a file, one at a time and never all decoded at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from tacit.errors import InvalidInput, NotFound
from tacit.experience.importers.port import Rejected

DOCUMENT_BYTES = 512 * 1024 * 1024
"""The largest single JSON value that is read: a line of JSONL, or a file that is one JSON document."""

LINE_SUFFIXES = frozenset({".jsonl", ".ndjson"})
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Item(msgspec.Struct, frozen=True):
    """One JSON value as it stands in a file, and where."""

    location: str
    raw: bytes | msgspec.Raw


def files_of(path: Path, suffixes: frozenset[str]) -> Iterator[tuple[str, Path] | Rejected]:
    """The files that ``path`` means, each with the name to show for it: "" for a file named by the caller.

    In a folder, all files with these suffixes, recursively and in sorted order. Symbolic links inside a folder are
    not followed: one that leads out of it is rejected, and the target of one that stays inside is read anyway.
    A folder inside it that cannot be read is rejected, too.
    """
    if path.is_dir():
        yield from _files_in(path, suffixes)
    elif path.is_file():
        yield "", path
    elif path.exists():
        raise InvalidInput(
            f"{path} is neither a file nor a folder; 'tacit import -' takes what a pipe gives", path=str(path)
        )
    else:
        raise NotFound(f"there is no file or folder {path}; check the path", path=str(path))


def _files_in(folder: Path, suffixes: frozenset[str]) -> Iterator[tuple[str, Path] | Rejected]:
    root = folder.resolve()
    unreadable: list[OSError] = []

    def note(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise error
        unreadable.append(error)

    for place, folders, names in os.walk(folder, onerror=note, followlinks=False):
        folders.sort()
        for name in sorted([*names, *(name for name in folders if (Path(place) / name).is_symlink())]):
            found = Path(place) / name
            shown = found.relative_to(folder).as_posix()
            if found.is_symlink():
                if not found.resolve().is_relative_to(root):
                    yield Rejected(shown, "is a symbolic link that leads out of the folder; name its target instead")
            elif found.suffix.lower() in suffixes and found.is_file():
                yield shown, found
    for error in unreadable:
        yield Rejected(Path(error.filename).relative_to(folder).as_posix(), f"cannot be read: {error.strerror}")


def decode(raw: bytes | msgspec.Raw) -> Any:
    """The JSON value, or InvalidInput that says what is wrong with it."""
    try:
        return msgspec.json.decode(raw)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"is not valid UTF-8: {error.reason} at byte {error.start}") from error
    except RecursionError as error:
        raise InvalidInput("is JSON that is nested too deeply to be read") from error
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"is not valid JSON: {error}") from error


def items_in(file: Path) -> Iterator[Item | Rejected]:
    """The JSON values of a file: each line of JSONL, each item of a JSON array, or the one document that it is.

    JSONL is streamed. The items of an array are cut apart first and decoded one by one by whoever asks.
    """
    if _is_lines(file):
        yield from lines_in(file)
        return
    yield from _document_items(file)


def lines_in(file: Path) -> Iterator[Item | Rejected]:
    """The lines that are not blank; one over DOCUMENT_BYTES is rejected and skipped."""
    with file.open("rb") as stream:
        number = 0
        while line := stream.readline(DOCUMENT_BYTES):
            number += 1
            if len(line) == DOCUMENT_BYTES and not line.endswith(b"\n"):
                _skip_line(stream)
                yield Rejected(f"line {number}", f"is longer than {DOCUMENT_BYTES:,} bytes")
                continue
            text = (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).strip()
            if text:
                yield Item(f"line {number}", text)


def text_in(file: Path) -> str:
    """The whole file as text, or InvalidInput when it is too large or not UTF-8."""
    try:
        return _whole(file).decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"is not valid UTF-8: {error.reason} at byte {error.start}") from error


def complete_values(head: bytes) -> Iterator[Any]:
    """The JSON values of the lines that stand complete in the head of a file."""
    for line in head.removeprefix(_BYTE_ORDER_MARK).splitlines():
        try:
            yield decode(line)
        except InvalidInput:
            continue  # a line that is cut off, or no JSON: it tells nothing about the format


def _skip_line(stream: IO[bytes]) -> None:
    while (rest := stream.readline(1 << 20)) and not rest.endswith(b"\n"):
        pass


def _whole(file: Path) -> bytes:
    size = file.stat().st_size
    if size > DOCUMENT_BYTES:
        raise InvalidInput(
            f"is one document of {size:,} bytes, more than {DOCUMENT_BYTES:,}; turn it into JSONL, one record a line"
        )
    return file.read_bytes().removeprefix(_BYTE_ORDER_MARK)


def _is_lines(file: Path) -> bool:
    """Whether the file is JSONL: by its suffix, or because its first line is a value and another follows.

    A file called .jsonl that holds one pretty-printed document is still that document: its first line is a bare
    opening bracket.
    """
    with file.open("rb") as stream:
        first = stream.readline(DOCUMENT_BYTES).removeprefix(_BYTE_ORDER_MARK).strip()
        if file.suffix.lower() in LINE_SUFFIXES:
            return first not in (b"[", b"{", b"[{")
        return _is_json(first) and any(line.strip() for line in stream)


def _is_json(raw: bytes) -> bool:
    try:
        decode(raw)
    except InvalidInput:
        return False
    return True


def _document_items(file: Path) -> Iterator[Item | Rejected]:
    try:
        whole = _whole(file)
        if not whole.strip():
            return
        if not whole.lstrip().startswith(b"["):
            decode(whole)
            yield Item("item 1", whole)
            return
        items = _items_of_array(whole)
    except InvalidInput as error:
        yield Rejected("file", error.message)
        return
    if _is_one_conversation(items):
        yield Item("item 1", whole)
        return
    for number, item in enumerate(items, 1):
        yield Item(f"item {number}", item)


def _items_of_array(whole: bytes) -> list[msgspec.Raw]:
    try:
        return msgspec.json.decode(whole, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        decode(whole)  # says what is wrong in the words that are used everywhere
        raise


def _is_one_conversation(items: list[msgspec.Raw]) -> bool:
    """An array of chat messages is one value, not a list of values."""
    if not items:
        return False
    try:
        first = decode(items[0])
    except InvalidInput:
        return False
    return isinstance(first, dict) and isinstance(first.get("role"), str)
