"""Recipes: how much each signal of recall counts, as data. Every signal can be switched off by giving it no weight."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tacit.errors import InvalidInput, shown

SIGNALS: dict[str, str] = {
    "words": "BM25 of the question's terms, without the names of speakers, in the text alone; nats",
    "meaning": "cosine to the question and to its bare form, in standard deviations above a random memory of the mind",
    "expected_meaning": "where there is no vector yet: what memories with as fitting words have of it, likewise",
    "words_around": "what its neighbours in the conversation have of `words` beyond itself, by nearness; nats",
    "meaning_around": "the same of `meaning`",
    "name": "it is by, or about, whom the question names: log odds, the more the fewer memories are; nats",
    "asking": "the share of it that asks: a question is seldom the answer; 0 … 1",
    "detail": "log of twice the rank, 0 … 1, of its number of distinct terms among the turns of its speaker; nats",
    "tells_time": "a time is asked for and it tells one: log odds, the more the fewer do; nats",
    "period": "it falls into a time that the question names: nearness times log odds; nats",
    "trend": "the newest (or the oldest) is asked for: its rank in time, -0.5 … 0.5 in the wanted direction",
    "recency": "its rank in time among the candidates, 0 … 1",
    "standing": "1 for instructions and preferences, which hold whatever is asked",
    "importance": "how important somebody judged it, less 0.5; 0 if nobody did",
    "expired": "1 for what is no longer true, or not yet",
    "repetition": "how nearly it repeats one that stands above it; 0 … 1",
}
"""The signals and the unit of each."""
_NATS_A_DEVIATION = 3.0
"""What one standard deviation of cosine says for a memory, if those that answer lie three above the others and spread
alike (the log likelihood ratio of two normal distributions three deviations apart grows by this for each)."""
_PRIOR = 1.5
"""How far what is known before any word is compared counts more than its log odds say: words and meaning are two
readings of one text, so their sum says things twice, and against it single evidence would weigh too little."""
_LOG_3 = 1.0986


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How memories are ranked: a weight for each signal; those not named have none.

    Args:
        name: what it is called.
        weights: of the signals, by name. Most signals are in nats (natural log odds), so 1 takes them at their word.
        near, far: how much of a neighbour's evidence a memory gets, at one and at two turns from it; 0 … 1.
        alike: from which cosine on one memory repeats another.

    Raises:
        InvalidInput: there is no such signal, or a number has no sense.
    """

    name: str
    weights: Mapping[str, float]
    near: float = 0.3
    far: float = 0.15
    alike: float = 0.9

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.weights) - set(SIGNALS)):
            raise InvalidInput(f"recall has no signal {unknown[0]!r}; there are {', '.join(SIGNALS)}", field="recipe")
        if not all(abs(weight) < float("inf") for weight in self.weights.values()):
            raise InvalidInput("a weight of a recipe is not a finite number", field="recipe")
        if not (0 <= self.near <= 1 and 0 <= self.far <= 1 and 0 <= self.alike < 1):
            raise InvalidInput("near and far lie in 0 … 1, and alike below 1", field="recipe")

    def without(self, *signals: str) -> Recipe:
        """The recipe with some signals switched off.

        Raises:
            InvalidInput: there is no such signal.
        """
        weights = {**self.weights, **dict.fromkeys(signals, 0.0)}
        return msgspec.structs.replace(self, name=f"{self.name} without {', '.join(signals)}", weights=weights)

    def with_meaning_by(self, share: float) -> Recipe:
        """The recipe with so much of the weight of what the meaning says, 0 … 1."""
        if share == 1:
            return self
        changed = {name: share * self.weights[name] for name in _OF_MEANING if name in self.weights}
        return msgspec.structs.replace(self, weights={**self.weights, **changed})


_OF_MEANING = ("meaning", "expected_meaning", "meaning_around")


_MEANING = {"meaning": _NATS_A_DEVIATION, "expected_meaning": _NATS_A_DEVIATION}
DEFAULT = Recipe(
    name="default",
    weights={
        "words": 1.0,
        **_MEANING,
        "words_around": 1.0,
        "meaning_around": _NATS_A_DEVIATION,
        "name": _PRIOR,
        "asking": -_PRIOR * _LOG_3,  # a question is a third as likely an answer as another turn
        "detail": _PRIOR,
        "tells_time": _PRIOR,
        "period": 1.0,
        "trend": 1.0,
        "recency": 0.1,
        "standing": 0.5,  # before what answers no better, behind what shares a word that not everybody has
        "importance": 1.0,
        "expired": -3.0,
        "repetition": -2.0,
    },
)
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        DEFAULT,
        Recipe(name="plain", weights={"words": 1.0, **_MEANING, "name": _PRIOR}),
        Recipe(
            name="lexical", weights={**DEFAULT.weights, "meaning": 0.0, "expected_meaning": 0.0, "meaning_around": 0.0}
        ),
        Recipe(name="dense", weights={**DEFAULT.weights, "words": 0.0, "words_around": 0.0, "expected_meaning": 0.0}),
        Recipe(name="recent", weights={**DEFAULT.weights, "recency": 4.0}),
        Recipe(name="diverse", weights={**DEFAULT.weights, "repetition": -8.0}, alike=0.6),
    )
}
"""By name. Their numbers come from the reasons given here and from generated collections, not from public test sets."""


def recipe_of(name: str) -> Recipe:
    """A recipe by its name.

    Raises:
        InvalidInput: there is none of that name.
    """
    if not isinstance(name, str) or name not in RECIPES:
        raise InvalidInput(f"there is no recipe {shown(name)}; there are {', '.join(RECIPES)}", field="recipe")
    return RECIPES[name]
