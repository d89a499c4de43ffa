"""Text as a search compares it: without the difference of small and capital letters, in every script."""

from __future__ import annotations

import unicodedata


def folded(text: str) -> str:
    """One form for all spellings of a text: ``Größe`` and ``GRÖSSE`` become the same, as do one é and e with an accent.

    Compatibility caseless matching (The Unicode Standard, 3.13, D146), but for the four i of Turkish, which count as
    one: which of them are a pair depends on the language.
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text).casefold().replace("i\u0307", "i").replace("ı", "i")
    return unicodedata.normalize("NFKC", plain)


def folded_or_none(text: str) -> str | None:
    """The folded text; None for ASCII, which is not kept twice: databases ignore the case of its letters themselves."""
    return None if text.isascii() else folded(text)
