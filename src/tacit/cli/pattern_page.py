"""How ``tacit pattern why`` shows on what a pattern rests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from tacit.cli.output import Output, brief, counted, moment, percent
from tacit.cli.pictures import span
from tacit.errors import Expired
from tacit.learning.advising.items import why
from tacit.learning.assessment.statistics import Share, share
from tacit.learning.patterns.heuristics import Heuristic
from tacit.learning.patterns.instances import Instance, read_instances
from tacit.learning.patterns.pattern import Pattern
from tacit.learning.patterns.recoveries import how_it_ended, is_remedy

if TYPE_CHECKING:
    from tacit.learning.advising.book import Book
    from tacit.mind import PastMind

_TASK = 70
"""Characters of a task that are shown; JSON has all."""


class Shown(msgspec.Struct, frozen=True):
    """An episode, to look at: whether it went well, as the pattern is judged, and how it ended."""

    episode: str
    well: bool
    status: str
    task: str


class Grounds(msgspec.Struct, frozen=True):
    """What a pattern rests on."""

    pattern: Pattern
    why: str
    heuristic: Heuristic | None
    with_it: list[Shown]
    without_it: list[Shown]


def grounds_of(mind: PastMind, book: Book, found: Pattern) -> Grounds:
    """What a pattern of a book rests on."""
    with mind.recorder.journal.store.snapshot() as snapshot:
        instances = read_instances(snapshot, mind.recorder.mind.id, book.position, found)

    def shown(some: Iterable[Instance]) -> list[Shown]:
        return [Shown(each.episode, each.well, *_status_and_task(mind, each.episode)) for each in some]

    heuristic = next((each for each in (*book.heuristics, *book.retired) if each.id == found.id), None)
    return Grounds(found, why(found), heuristic, shown(instances.with_it), shown(instances.without_it))


def _status_and_task(mind: PastMind, id: str) -> tuple[str, str]:
    try:
        episode = mind.get(id)
    except Expired as error:  # the summary says as much
        return error.context["outcome"], error.context["description"]
    return episode.status, episode.task.description


def show_why(out: Output, told: Grounds) -> None:
    """Write for people why a pattern is believed."""
    found = told.pattern
    could = counted(found.support + found.others, "episode")
    out.line(f"{found.text}: in {found.support:,} of the {could} in which it could have occurred.")
    well = how_it_ended(found.key) if is_remedy(found.key) else "succeeded"
    rows = [
        ("with it", found.support, found.successes, percent(_share(found.successes, found.support))),
        ("without it", found.others, found.other_successes, percent(_share(found.other_successes, found.others))),
    ]
    out.table(("", "episodes", well, "share"), rows)
    if found.lift is not None:
        out.line(f"lift   −1 {span(found.lift.low, found.lift.difference, found.lift.high)} +1")
    _, _, compared = told.why.partition("; ")
    if compared:
        out.line(f"{compared[0].upper()}{compared[1:]}.")
    if found.closing:
        out.line(
            f"{found.at_end:,} of the {found.successes:,} that succeeded had it by their last call only: "
            "it may be how a success ends, and not what brings it."
        )
    stands = "It stands" if found.stands else "It does not stand"
    out.line(f"{stands} beyond chance, among all that was looked at.")
    _show_episodes(out, "Episodes with it, newest first", told.with_it, well)
    _show_episodes(out, "Episodes without it, attempts at the same tasks first", told.without_it, well)
    if told.heuristic is not None:
        _show_history(out, told.heuristic)


def _share(well: int, of: int) -> Share | None:
    return share(well, of) if of else None


def _show_episodes(out: Output, title: str, some: list[Shown], well: str) -> None:
    if some:
        out.heading(title)
        rows = [(each.episode, "yes" if each.well else "no", each.status, brief(each.task, _TASK)) for each in some]
        out.table(("episode", well, "ended", "task"), rows)


def _show_history(out: Output, heuristic: Heuristic) -> None:
    out.heading(f"History of the heuristic to {heuristic.polarity} it")
    rows = [(moment(turn.at), turn.change, f"{turn.surely * 100:+.0f}", turn.support) for turn in heuristic.history]
    out.table(("when", "change", "lift to count on, in points", "episodes"), rows)
