"""What is known about whether each piece of advice helps, for people to look at."""

from __future__ import annotations

import msgspec

from tacit.learning.advising.book import read_book
from tacit.learning.trials.exposure import demoted_items, drawn_items, read_draws
from tacit.learning.trials.trial import Trial, judge
from tacit.stores.port import Snapshot


class AdviceTrial(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of advice and its trial: how it went where it was shown, and where it was withheld."""

    id: str
    text: str
    """In words; empty when the book no longer knows it."""
    demoted: bool
    trial: Trial


def read_trials(snapshot: Snapshot, mind: bytes, position: int) -> list[AdviceTrial]:
    """Every piece of advice that was given and has an outcome by a position, the most often judged first."""
    book, demoted = read_book(snapshot, mind, position), demoted_items(snapshot, mind, position)
    texts = {each.id: each.text for each in (*book.retired, *book.heuristics)}
    found = []
    for item in drawn_items(snapshot, mind):
        draws = read_draws(snapshot, mind, item, position)
        if draws:
            text = texts.get(item, "")
            found.append(AdviceTrial(id=item, text=text, demoted=item in demoted, trial=judge(draws)))
    return sorted(found, key=lambda one: (-one.trial.shown - one.trial.withheld, one.id))
