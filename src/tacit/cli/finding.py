"""What the doctor says about one thing."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["ok", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True):
    """``problem`` means that the store cannot be used; ``warning``, that somebody should look at it."""

    about: str
    state: State
    detail: str


def ok(about: str, detail: str) -> Finding:
    """All is well."""
    return Finding(about, "ok", detail)


def warning(about: str, detail: str) -> Finding:
    """It works, and somebody should look at it."""
    return Finding(about, "warning", detail)


def problem(about: str, detail: str) -> Finding:
    """The store cannot be used."""
    return Finding(about, "problem", detail)
