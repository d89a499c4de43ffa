"""What a question asks: its terms, whom it names, and which time it means."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from typing import Literal

import msgspec

from tacit.recall.moments import Period, asks_when, periods_in, trend_of, without_times
from tacit.recall.wording import ROLES
from tacit.stores.terms import EMOJI

Analyse = Callable[[str], Sequence[str]]
"""Makes terms of a text, with repeats and in order: the same for what is remembered and for what is asked."""

_OPENERS = (
    "what when where who whom whose which why how did does do is are was were has have had will would can could"
    " should may might"
)
_ASKING = frozenset(_OPENERS.split())
"""Words that begin a question and say nothing of what it is about."""
_FILLING = (
    "a an the of to in on at for with by from and or but nor so that this these those it its be been being am"
    " done doing having shall must i me my mine you your yours he him his she her hers they them their theirs we"
    " us our ours s t d ll re ve m if as than then there about into not no any some ever ask tell told"
)
_COMMON = _ASKING | frozenset(_FILLING.split())
"""English words that questions are full of. In other languages, and beyond these, rarity decides what a word weighs."""
_WHATEVER = (
    "happen happens happened happening go goes going went on talk talked talking speak spoke say said discuss discussed"
    " news anything everything something thing things event events new"
)
_OF_ANYTHING = frozenset(_WHATEVER.split())
"""Words that ask for whatever there was."""
_OPENING_WORDS = 3
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0711-\u074a"
    "\u07a6-\u07b0\u0900-\u0963\u0966-\u0dff\u0e31-\u0e4e\u0eb1-\u0ece\u0f00-\u0f0a\u0f0c-\u0fff\u1000-\u1049\u1056-\u109f"
    "\u1780-\u17d3\u200c\u200d\u3099\u309a"
)
"""Signs that belong to the letters beside them and are none of ``\\w``: vowels of many scripts are such."""
_LATIN = "0-9A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff"
_WORD = re.compile(rf"[{_LATIN}][\w{_MARKS}]*|\w[\w{_MARKS}'ʼ׳]*|[{EMOJI}]")
"""A word of a question. In Latin letters an apostrophe ends one, so that what follows it can be told to be common; in
other scripts it is a letter of the word."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question as ranking sees it.

    Args:
        text: as it was asked.
        terms: what it is about: distinct terms, without common words and without names of people who speak.
        names: terms that name people who speak in this mind, or whom its memories are about.
        bare: the question without its opening and without names, as a text: a statement that answers it reads more
            like this. Its vector is taken beside that of the whole question.
        about_time: nothing is asked but what there was in the time that it names; then it has no terms.
        periods: stretches of time that it names.
        asks_when: whether a time is asked for.
        trend: 1 where the newest is asked for, -1 where the oldest.
    """

    text: str
    terms: tuple[str, ...]
    names: tuple[str, ...] = ()
    bare: str = ""
    periods: tuple[Period, ...] = ()
    asks_when: bool = False
    trend: Literal[-1, 0, 1] = 0
    about_time: bool = False


def read_question(text: str, analyse: Analyse, names: Collection[str], now: int) -> Question:
    """Read a question.

    Args:
        text: the question.
        analyse: makes terms of a text.
        names: the terms of all names of the mind's speakers and users.
        now: when it is asked, µs since 1970 UTC; "last week" is relative to it.
    """
    words = [(word, tuple(analyse(word))) for word in _WORD.findall(_composed(text))]
    named = {
        term
        for place, (word, made) in enumerate(words)
        if word.casefold() not in _COMMON or (place and word[0].isupper())  # someone may be called Will, or Ann A.
        for term in made
        if term in names and term not in ROLES
    }
    about = [term for word, made in words if word.casefold() not in _COMMON for term in made if term not in named]
    periods = periods_in(text, now)
    about_time = bool(periods) and _is_about_anything(text, named, analyse)
    if about_time:
        about = []
    elif not about:  # nothing but names and common words: then these have to do
        about = [term for _, made in words for term in made if term not in named] or sorted(named)
    return Question(
        text=text,
        terms=tuple(dict.fromkeys(about)),
        names=tuple(sorted(named)),
        bare=_bare(text, analyse, named) or text,
        periods=periods,
        asks_when=asks_when(text),
        trend=trend_of(text),
        about_time=about_time,
    )


def _is_about_anything(text: str, named: Collection[str], analyse: Analyse) -> bool:
    """Whether a question names nothing but a time, and perhaps people."""
    words = _WORD.findall(_composed(without_times(text)).casefold())
    return all(word in _COMMON or word in _OF_ANYTHING or set(analyse(word)) <= set(named) for word in words)


def _composed(text: str) -> str:
    """The text with its accents on their letters, and with one kind of apostrophe."""
    return unicodedata.normalize("NFC", text).replace("’", "'")


def _bare(text: str, analyse: Analyse, named: Collection[str]) -> str:
    words = text.strip().rstrip("?？؟ .").split()
    place = 0
    while place < min(len(words), _OPENING_WORDS) and _letters(words[place]) in _ASKING:
        place += 1
    kept = (word for word in words[place:] if not (made := analyse(_owner(word))) or not set(made) <= set(named))
    return " ".join(kept)


def _letters(word: str) -> str:
    return "".join(_WORD.findall(word.casefold()))


def _owner(word: str) -> str:
    """A name without the ending that makes it own something."""
    return re.sub(r"['’]s?$", "", word.rstrip(".,;:!"))
