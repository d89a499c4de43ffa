"""``tacit pattern``: what was found in the episodes, and why it is believed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tacit.cli.episodes import AsOf, mind_at, moment_of
from tacit.cli.output import Output, brief, chance_of, counted, moment
from tacit.cli.session import Session
from tacit.cli.verb import verb
from tacit.cli.waiting import PATIENCE, LongestWait, learn
from tacit.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from tacit.learning.advising.book import Book
    from tacit.learning.patterns.heuristics import Heuristic
    from tacit.learning.patterns.pattern import Pattern
    from tacit.mind import PastMind

Strategy = Annotated[
    str,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="sequence, decision, recovery, context, hybrid; or heuristic, for the rules made of those that stand.",
        show_default=False,
    ),
]
All = Annotated[bool, typer.Option("--all", help="Also those that do not stand: they may be chance.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many at most.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The pattern's id.")]

_LIFT = ("alike, with it", "alike, without", "lift in points")
"""What a lift compares: success among episodes that others are like, with the pattern and without, each counting on
both sides alike; and the difference."""
_NO_PATTERNS = (
    "no such patterns: they need three episodes in which the same occurs, and to stand they have to differ from the"
    " others beyond chance"
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""

    @verb(app, "list")
    def list_patterns(
        session: Session,
        strategy: Strategy = "",
        all: All = False,
        limit: Limit = 20,
        wait: LongestWait = PATIENCE,
        as_of: AsOf = None,
    ) -> None:
        """List the patterns that stand beyond chance, the strongest first."""
        from tacit.learning.patterns.pattern import STRATEGIES

        if strategy and strategy not in STRATEGIES:
            raise InvalidInput(f"{strategy!r} is not a strategy; use one of {', '.join(STRATEGIES)}", field="strategy")
        book = _book(session, as_of, wait)
        if strategy == "heuristic":  # rules have passed all tests, so they stand
            rules = list(book.heuristics[:limit])
            session.out.result(rules, lambda: _show_rules(session.out, rules))
            _tell_more(session.out, len(book.heuristics) - len(rules))
            return
        known = [each for each in book.patterns if not strategy or each.strategy == strategy]
        wanted = [each for each in known if each.stands or all]
        found = wanted[:limit]
        kept_back = 0 if all else sum(not each.stands for each in known)
        session.out.result(found, lambda: _show_list(session.out, found, kept_back))
        _tell_more(session.out, len(wanted) - len(found))

    @verb(app, "show")
    def show(session: Session, id: Id, wait: LongestWait = PATIENCE, as_of: AsOf = None) -> None:
        """Show a pattern with its counts."""
        found = _pattern(_book(session, as_of, wait), id)
        session.out.result(found, lambda: _show(session.out, found))

    @verb(app, "why")
    def why(session: Session, id: Id, wait: LongestWait = PATIENCE, as_of: AsOf = None) -> None:
        """Say why a pattern is believed: how it went with it and without it, episodes of either sort, its history."""
        from tacit.cli.pattern_page import grounds_of, show_why

        with _learned(session, as_of, wait) as mind:
            book = mind.book()
            told = grounds_of(mind, book, _pattern(book, id))
        session.out.result(told, lambda: show_why(session.out, told))


@contextmanager
def _learned(session: Session, as_of: str | None, wait: float) -> Iterator[PastMind]:
    """The mind, or as it was, once it has been learned from."""
    moment_of(as_of)  # what is no time is refused before a store is opened
    with session.open_mind() as mind:
        learn(session.out, mind, wait)
        yield mind_at(mind, as_of)


def _book(session: Session, as_of: str | None, wait: float) -> Book:
    with _learned(session, as_of, wait) as mind:
        return mind.book()


def _pattern(book: Book, id: str) -> Pattern:
    """The pattern of that id, or the only one whose id begins so."""
    found = [each for each in book.patterns if id and each.id.startswith(id)]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(each.id for each in found[:3])
        raise InvalidInput(f"{len(found)} patterns begin with {id}: {several} …; give more of the id", pattern=id)
    raise NotFound(f"there is no pattern {id}; 'tacit pattern list' shows those that there are", pattern=id)


def _show_list(out: Output, found: list[Pattern], kept_back: int) -> None:
    """Write patterns; ``kept_back`` is how many more there are that do not stand."""
    columns = ("id", "strategy", "what", "episodes", "succeeded", *_LIFT, "stands")
    rows = [
        (each.id, each.strategy, brief(each.text), each.support, each.successes, *_lift(each), _stands(each))
        for each in found
    ]
    out.table(columns, rows, empty="no pattern stands" if kept_back else _NO_PATTERNS)
    if kept_back:
        more = counted(kept_back, "more pattern" if found else "pattern")
        out.note(f"{more} {'does' if kept_back == 1 else 'do'} not stand: they may be chance (--all shows them)")


def _tell_more(out: Output, left: int) -> None:
    """Say how many are not shown because of the limit."""
    if left:
        out.note(f"{left:,} more were left out: --limit shows more")


def _show_rules(out: Output, found: list[Heuristic]) -> None:
    columns = ("id", "what", "episodes", "succeeded", *_LIFT)
    rows = [(each.id, brief(each.text), each.support, each.successes, *_lift(each)) for each in found]
    out.table(columns, rows, empty="no heuristics yet: they are made of patterns that stand beyond chance")


def _lift(pattern: Pattern | Heuristic) -> tuple[str, str, str]:
    """What a lift compares, and the lift; see ``_LIFT``."""
    lift = pattern.lift
    if lift is None:
        return "", "", ""
    return (
        f"{lift.with_rate * 100:.0f} % of {lift.with_episodes}",
        f"{lift.without_rate * 100:.0f} % of {lift.without_episodes}",
        f"{lift.difference * 100:+.0f} ({lift.low * 100:+.0f} … {lift.high * 100:+.0f})",
    )


def _stands(pattern: Pattern) -> str:
    return "yes" if pattern.stands else "no"


def _show(out: Output, found: Pattern) -> None:
    out.facts(
        ("id", found.id),
        ("strategy", found.strategy),
        ("what", found.text),
        ("tools", ", ".join(found.tools)),
        ("when", ", ".join(found.condition)),
        ("kinds of task", ", ".join("/".join(filter(None, kind)) or "(unspecified)" for kind in found.kinds)),
        ("episodes", found.support),
        ("succeeded", found.successes),
        ("episodes without it", found.others),
        ("succeeded without it", found.other_successes),
        ("chance of success", chance_of(found.posterior)),
        *zip(_LIFT, _lift(found), strict=True),
        ("stands beyond chance", _stands(found)),
        ("last seen", moment(found.last_seen)),
        ("same as", f"{len(found.merged)} other patterns" if found.merged else ""),
    )
