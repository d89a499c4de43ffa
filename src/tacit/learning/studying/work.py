"""What takes long in a study, as a pure function: forecasts of new episodes, and then models fitted to them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tacit.experience.episode import Episode
from tacit.learning.ranking.ranker import Example, ToolRanker
from tacit.learning.studying.fits import Fit, fit_to, models_of
from tacit.learning.studying.forecasts import forecast_row
from tacit.stores.port import Row

Check = Callable[[], None]
"""Is called now and then, and raises when the work is to be given up."""


class Work(NamedTuple):
    """What is to be done for one mind."""

    mind: bytes
    before: Fit | None
    """The models so far, which forecast what they have not seen."""
    prior: float
    """The rate of success so far."""
    fresh: Sequence[tuple[Episode, int]]
    """Episodes to be forecast, and the position of each."""
    fitting: Fitting | None
    """What new models are fitted to; None when the old ones still do."""


class Fitting(NamedTuple):
    """What models are fitted to."""

    known: int
    """How many finished episodes there are in all."""
    model: str
    """Of the vectors in the examples."""
    examples: Sequence[Example]
    """For the ranker of tools, which learns from more episodes, but sees less of each."""
    episodes: Sequence[Episode]
    """For the other models; oldest first."""


class Done(NamedTuple):
    """What has come of it."""

    forecasts: list[Row]
    fit: Fit | None


def do(work: Work, check: Check = lambda: None) -> Done:
    """Do the work, in this thread."""
    forecasts = _forecasts(work, check)
    return Done(forecasts, None if work.fitting is None else _fit(work.fitting, check))


def _forecasts(work: Work, check: Check) -> list[Row]:
    if work.before is None or not work.fresh:
        return []
    models, rows = models_of(work.before), []
    for episode, position in work.fresh:
        check()
        rows.append(forecast_row(work.mind, episode, position, models, work.prior))
    return rows


def _fit(fitting: Fitting, check: Check) -> Fit:
    check()
    ranker = ToolRanker.fit(fitting.examples, fitting.model)
    check()
    return fit_to(fitting.episodes, ranker, fitting.known, check)
