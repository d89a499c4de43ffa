"""Reading back what was fitted and kept as bytes."""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec

from tacit.errors import InvalidInput


class Formatted(Protocol):
    """What is kept says in which format."""

    @property
    def format(self) -> int: ...


K = TypeVar("K", bound=Formatted)


def read_kept(body: bytes, kind: type[K], format: int, what: str) -> K:
    """What was kept, which is a ``what`` in words.

    Raises:
        InvalidInput: the bytes are none, or one of another format; fit it again.
    """
    try:
        kept: K = msgspec.msgpack.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"these bytes are not a {what}; fit it again") from error
    if kept.format != format:
        raise InvalidInput(f"this {what} has format {kept.format}, not {format}; fit it again")
    return kept
