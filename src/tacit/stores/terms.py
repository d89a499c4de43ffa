"""One analyser for all that is searched by words: a text becomes the terms that stand for it in every index.

Both databases hold the terms that are made here, and questions are made into terms here too, so a word is found
wherever it was written the same way, whatever the database. No word is left out for being frequent.

- Spelling: compatibility forms, case and accents make no difference (NFKC, case folding; marks of Latin, Greek,
  Cyrillic, Hebrew and Arabic are taken off, but not the one of the Russian й). Digits of any script become 0 … 9.
- Words in Latin letters are stemmed as English, those in Cyrillic as Russian (Snowball: M. F. Porter, 2001).
- Scripts without spaces, and Korean, become overlapping pairs of characters; Chinese characters also stand alone, as
  many a word is a single one.
- An emoji is a term.
- Arabic words lose their article, conjunction and the commonest endings (light10: Larkey, Ballesteros & Connell, 2002).
  A Hebrew word also stands without the letter that may be a preposition, an article or a conjunction.

What is taken away from an index must be analysed as it was when it was put in: a change here needs a new index.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from itertools import chain
from typing import Any

import Stemmer

from tacit.stores.text_index import LABEL

MAX_TERM_CHARS = 64
"""Longer words are cut to so many characters: they are data, not words, and an index keeps each term whole."""
_CACHED_WORDS = 65_536

_UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Tibetan; Burmese; Khmer
    "\u3005-\u3007\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana
    "\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff"  # Hangul
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
_MARKS_IN_WORDS = "\u0900-\u0963\u0966-\u0dff"  # of the scripts of India, whose vowels are marks
_ASCII_WORDS = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*").findall
EMOJI = "\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001f3fa\U0001f400-\U0001faff"
"""Signs that are a term each, as a text may hold nothing else; not those that only tell another one's colour."""
_WORDS = re.compile(
    rf"[^\W_{_UNSPACED}]+(?:['’{_MARKS_IN_WORDS}]+[^\W_{_UNSPACED}]+)*[{_MARKS_IN_WORDS}]*|[{_UNSPACED}]+|[{EMOJI}]"
).findall
_ACCENTS = re.compile(
    "[\u0300-\u0305\u0307-\u036f\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed]|(?<!и)\u0306"
)
_is_unspaced = re.compile(f"[{_UNSPACED}]").match
_is_han = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]").match
_ALIKE = str.maketrans(  # written one way or the other
    {"ى": "ي", "ی": "ي", "ة": "ه", "ک": "ك", "ı": "i", "ʼ": "'", "׳": "'"}
)
_APOSTROPHES = str.maketrans("", "", "'’")
_CONTRACTED = frozenset({"d", "ll", "m", "n", "re", "t", "ve"})
_ARABIC_ARTICLES = ("وال", "بال", "كال", "فال", "ال", "لل")
_ARABIC_ENDINGS = ("ها", "ان", "ات", "ون", "ين", "يه", "ه", "ي")
_HEBREW_PREFIXES = frozenset("הובכלמש")
_LEAST_STEM = 3  # letters of a word of Hebrew or Arabic that must be left


def terms_of(text: str) -> list[str]:
    """The terms of a text, in its order, with repeats.

    Each holds letters, digits and marks of any script, none of ASCII but ``a`` … ``z`` and ``0`` … ``9``, and is at
    most ``MAX_TERM_CHARS`` long.
    """
    words = _ASCII_WORDS(text.lower()) if text.isascii() else _WORDS(_plain(text))
    return list(chain.from_iterable(map(_terms_of_words.__getitem__, words)))


LABELLED = ("kind", "user", "session", "agent", "speaker", "subject")
"""The columns of a memory by which a search can be kept within some."""


def terms_of_memory(told: Mapping[str, Any]) -> list[str]:
    """What a memory is found by: its words and what it is about; and labels that say whose it is and who said it.

    Args:
        told: its text and what is ``LABELLED``, by the names of their columns.
    """
    names = terms_of(f"{told['speaker']}\n{told['user']}") if told["speaker"] or told["user"] else ()
    return [
        *terms_of(f"{told['subject']}\n{told['text']}"),
        *(label_of(field, told[field]) for field in LABELLED if told[field]),
        *(name_label(name) for name in names),
    ]


@lru_cache(maxsize=4_096)
def label_of(field: str, value: str) -> str:
    """The label of a document whose ``field`` is ``value``, exactly."""
    return f"{LABEL}{field}{blake2b(value.encode(), digest_size=10).hexdigest()}"


def name_label(term: str) -> str:
    """The label of a document whose speaker or user has that term in the name."""
    return f"{LABEL}name{term}"


def _plain(text: str) -> str:
    """The text without differences of spelling that a search should not see."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFKC", _ACCENTS.sub("", apart)).translate(_ALIKE)


def _analysed(word: str) -> tuple[str, ...]:
    if word.isascii():
        return _of_latin(word)
    if _is_unspaced(word):
        return _of_unspaced(word)
    word = "".join([str(unicodedata.decimal(letter)) if letter.isdecimal() else letter for letter in word])
    first, whole = word[0], word.translate(_APOSTROPHES)  # in these scripts it is a part of one word
    if "\u0600" <= first <= "\u06ff":
        return (_of_arabic(whole),)
    if "\u0590" <= first <= "\u05ff":
        return _of_hebrew(whole)
    if "\u0400" <= first <= "\u052f":
        return (_stemmer("russian")(whole),)
    return _of_latin(word.replace("’", "'"))


class _TermsOfWords(dict[str, tuple[str, ...]]):
    """The terms of words that were met lately. A plain dictionary finds a known word in a tenth of the time that a
    function takes to be called; when it is full, it begins anew."""

    def __missing__(self, word: str) -> tuple[str, ...]:
        if len(word) > MAX_TERM_CHARS:
            return _analysed(word if _is_unspaced(word) else word[:MAX_TERM_CHARS])
        if len(self) >= _CACHED_WORDS:
            self.clear()
        found = self[word] = _analysed(word)
        return found


_terms_of_words = _TermsOfWords()


def _of_latin(word: str) -> tuple[str, ...]:
    """The stem. What follows an apostrophe is a word of its own, as in Turkish, unless it is short and what stands
    before is short too, or it belongs to an English verb (o'clock, don't); an s is left out."""
    if "'" not in word:
        return (_stemmer("english")(word),)
    words = [""]
    for part in word.split("'"):
        if part == "s" and words[-1]:
            continue
        if len(part) > 2 or not words[-1] or (len(words[-1]) > 2 and part not in _CONTRACTED):
            words.append(part)
        else:
            words[-1] += part
    stem = _stemmer("english")
    return tuple([stem(part) for part in words if part])


def _of_unspaced(run: str) -> tuple[str, ...]:
    if len(run) == 1:
        return (run,)
    alone = [letter for letter in run if _is_han(letter)]
    return (*[run[at : at + 2] for at in range(len(run) - 1)], *alone)


def _of_arabic(word: str) -> str:
    if word[0] == "و" and len(word) > _LEAST_STEM and not word.startswith("وال"):
        word = word[1:]
    for article in _ARABIC_ARTICLES:
        if word.startswith(article) and len(word) >= len(article) + 2:
            word = word[len(article) :]
            break
    for ending in _ARABIC_ENDINGS:
        if word.endswith(ending) and len(word) >= len(ending) + 2:
            word = word[: -len(ending)]
    return word


def _of_hebrew(word: str) -> tuple[str, ...]:
    if len(word) > _LEAST_STEM and word[0] in _HEBREW_PREFIXES:
        return word, word[1:]
    return (word,)


_of_thread = threading.local()


def _stemmer(language: str) -> Callable[[str], str]:
    """A stemmer may be used by one thread at a time, so each has its own."""
    found: Callable[[str], str] | None = getattr(_of_thread, language, None)
    if found is None:
        found = Stemmer.Stemmer(language, 0).stemWord  # no cache inside: the one above holds the whole result
        setattr(_of_thread, language, found)
    return found
