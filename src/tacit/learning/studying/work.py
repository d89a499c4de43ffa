"""What takes long in a study, as a pure function: forecasts of new episodes, and then models fitted to them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tacit.experience.episode import Episode
from tacit.learning.fitting.giving_up import Check, checked, go_on
from tacit.learning.ranking.ranker import Example, ToolRanker
from tacit.learning.studying.fits import Fit, fit_to, models_of
from tacit.learning.studying.forecasts import forecast_row
from tacit.stores.port import Row


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
    episodes: Sequence[Episode]
    """Oldest first."""


class Done(NamedTuple):
    """What has come of it."""

    forecasts: list[Row]
    fit: Fit | None


def do(work: Work, examples: Callable[[], Sequence[Example]], check: Check = go_on) -> Done:
    """Do the work, in this thread.

    Args:
        examples: for the ranker of tools, which learns from more episodes, but sees less of each. They are asked for
            when all else is fitted.
    """
    forecasts = _forecasts(work, check)
    fitting = work.fitting
    if fitting is None:
        return Done(forecasts, None)

    def ranker() -> ToolRanker:
        return ToolRanker.fit(examples(), fitting.model, check)

    return Done(forecasts, fit_to(fitting.episodes, ranker, fitting.known, check))


def _forecasts(work: Work, check: Check) -> list[Row]:
    if work.before is None or not work.fresh:
        return []
    models = models_of(work.before)
    return [
        forecast_row(work.mind, episode, position, models, work.prior)
        for episode, position in checked(work.fresh, check)
    ]
