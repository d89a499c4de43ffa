"""Collections with questions whose answers are known: read from files of two well-known shapes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tacit.errors import InvalidInput

LOCOMO = Path("locomo")
CRANFIELD = Path("cranfield")
CRANFIELD_ITEMS = 1_400
"""Entries after these are strays of some copies."""
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
"""Of LoCoMo's questions those that have an answer; the fifth category has none."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be remembered. ``occurred_at`` in µs since 1970 UTC."""

    id: str
    text: str
    kind: str = "turn"
    user: str = ""
    session: str = ""
    speaker: str = ""
    occurred_at: int | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question, the ids of the items that answer it (at least one), and to what class of questions it belongs."""

    text: str
    relevant: frozenset[str]
    category: str = ""
    user: str = ""


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """What one mind is told, in the order in which it happened, and what it is asked.

    ``repaired`` ids of evidence were malformed and could be read all the same; ``dropped`` ones name nothing, and
    ``unanswered`` questions had no evidence left.
    """

    name: str
    items: tuple[Item, ...]
    questions: tuple[Question, ...]
    repaired: int = 0
    dropped: int = 0
    unanswered: int = 0


def read_locomo(path: Path) -> tuple[Collection, ...]:
    """The conversations of a file of LoCoMo's shape (A. Maharana et al., "Evaluating Very Long-Term Conversational
    Memory of LLM Agents", ACL 2024): each is a mind of its own; questions of categories 1–4.

    A picture's caption is part of the text of its turn.

    Raises:
        InvalidInput: the file has another shape.
    """
    try:
        return tuple(_conversation(given) for given in json.loads(path.read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"{path.name} does not have LoCoMo's shape: {error!r}", field="data") from error


def _conversation(given: dict[str, Any]) -> Collection:
    talk = given["conversation"]
    numbers = sorted(int(key.split("_")[1]) for key in talk if re.fullmatch(r"session_\d+", key))
    items = []
    for number in numbers:
        when = _session_time(talk.get(f"session_{number}_date_time"))
        for place, turn in enumerate(talk[f"session_{number}"]):
            caption = turn.get("blip_caption")
            text = turn.get("text") or ""
            items.append(
                Item(
                    id=turn["dia_id"],
                    text=f"{text} [{caption}]".strip() if caption else text,
                    session=f"D{number}",
                    speaker=turn["speaker"],
                    occurred_at=None if when is None else when + place * 1_000_000,
                )
            )
    return _with_questions(str(given.get("sample_id", "")), tuple(items), given["qa"])


def _session_time(text: str | None) -> int | None:
    """Of ``1:56 pm on 8 May, 2023``, which names no zone: taken as UTC."""
    if not text:
        return None
    when = datetime.strptime(text, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
    return int(when.timestamp()) * 1_000_000


def _with_questions(name: str, items: tuple[Item, ...], asked: list[dict[str, Any]]) -> Collection:
    known = {item.id for item in items}
    questions, repaired, dropped, unanswered = [], 0, 0, 0
    for one in asked:
        if one["category"] not in CATEGORIES:
            continue
        relevant: set[str] = set()
        for given in one.get("evidence") or ():
            found = given if given in known else None
            if found is None:
                read = [f"D{session}:{turn}" for session, turn in _IDS.findall(given)]
                repaired += sum(id_ in known for id_ in read)
                dropped += sum(id_ not in known for id_ in read) or not read
                relevant.update(id_ for id_ in read if id_ in known)
            else:
                relevant.add(found)
        if not relevant:
            unanswered += 1
            continue
        category = CATEGORIES[one["category"]]
        questions.append(Question(text=one["question"], relevant=frozenset(relevant), category=category))
    return Collection(
        name=name, items=items, questions=tuple(questions), repaired=repaired, dropped=dropped, unanswered=unanswered
    )


_IDS = re.compile(r"D:?0*(\d+):0*(\d+)")
"""Evidence as it is sometimes written: two ids in one, ``D:11:26``, ``D30:05``."""


def read_cranfield(folder: Path) -> Collection:
    """The Cranfield collection (C. Cleverdon, 1967): abstracts on aerodynamics. Queries are numbered by their place.

    Raises:
        InvalidInput: the files have another shape.
    """
    try:
        entries = _entries(folder / "cran.all.1400")[:CRANFIELD_ITEMS]
        items = tuple(Item(id=number, text=_joined(fields), kind="note") for number, fields in entries)
        known = {item.id for item in items}
        relevant: dict[int, set[str]] = {}
        for line in (folder / "cranqrel").read_text(encoding="utf-8").splitlines():
            query, document, *_ = line.split()
            if document in known:
                relevant.setdefault(int(query), set()).add(document)
        asked = enumerate(_entries(folder / "cran.qry"), start=1)
        questions = tuple(
            Question(text=_joined(fields), relevant=frozenset(relevant[place]))
            for place, (_, fields) in asked
            if place in relevant
        )
    except (ValueError, IndexError) as error:
        raise InvalidInput(f"{folder.name} does not have Cranfield's shape: {error!r}", field="data") from error
    return Collection(name="cranfield", items=items, questions=questions)


def _entries(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Number and fields (.T title, .W text…) of each entry of a file in SMART's format."""
    entries = []
    for part in re.split(r"^\.I ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        number, _, body = part.partition("\n")
        fields = re.split(r"^\.([TABWX])[ \t]*\n", body, flags=re.MULTILINE)[1:]
        entries.append((str(int(number)), dict(zip(fields[::2], fields[1::2], strict=True))))
    return entries


def _joined(fields: dict[str, str]) -> str:
    """Title and text; the text of most abstracts begins with the title."""
    title, text = (" ".join(fields.get(name, "").split()) for name in "TW")
    return text if text.startswith(title) else f"{title} {text}"
