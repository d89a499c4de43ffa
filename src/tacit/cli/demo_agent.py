"""The scripted agent of the demonstration. It follows fixed rules and learns nothing by itself.

Its habits differ, so some of its attempts fail, for reasons that can be found in its steps.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tacit.cli import demo_world
from tacit.cli.demo_world import CLOSED, DARK, KEY, LAMP, LOCKED, ROOMS, THINGS, Answer, House, room_of

if TYPE_CHECKING:
    from tacit.experience.live import LiveEpisode
    from tacit.mind import Mind

DOMAIN = "house"
AGENT = "scripted house agent"


@dataclass(frozen=True)
class Habit:
    """How the agent goes about a task."""

    name: str
    patience: int
    """After so many steps it gives up."""
    prepared: bool
    """It looks for lamp and key when it needs them; otherwise it tries again and then goes elsewhere."""


HABITS = (
    Habit("careful", patience=60, prepared=True),
    Habit("hasty", patience=25, prepared=False),
    Habit("stubborn", patience=60, prepared=False),
)


@dataclass(frozen=True)
class Errand:
    """Bring a thing to a place."""

    thing: str
    place: str

    @property
    def description(self) -> str:
        return f"Put the {self.thing} on the {self.place} in the {room_of(self.place)}"

    @property
    def kind(self) -> str:
        """What makes the errand hard, if anything does."""
        if self.place == LOCKED:
            return "into the locked chest"
        return "into the dark cellar" if room_of(self.place) == DARK else "tidy up"


class OutOfPatienceError(Exception):
    """The agent has done all that its patience allows."""


def errands(count: int, chance: random.Random) -> Iterator[tuple[Errand, Habit, House]]:
    """Errands, who does each, and the house that it begins with."""
    places = [place for rooms in ROOMS.values() for place in rooms]
    for number in range(count):
        errand = Errand(chance.choice(THINGS), chance.choice(places))
        yield errand, HABITS[number % len(HABITS)], demo_world.furnished(chance)


def carry_out(mind: Mind, errand: Errand, habit: Habit, house: House) -> tuple[str, str]:
    """Let the agent do an errand, telling the mind every step as it happens; the episode's id, and how it ended."""
    with mind.episode(
        errand.description, task_type=errand.kind, domain=DOMAIN, tags=("demo", habit.name), agent=AGENT
    ) as episode:
        return episode.id, _Attempt(episode, errand, habit, house).run()


class _Attempt:
    """One errand by one agent."""

    def __init__(self, episode: LiveEpisode, errand: Errand, habit: Habit, house: House) -> None:
        self._episode = episode
        self._errand = errand
        self._habit = habit
        self._house = house
        self._done = 0

    def run(self) -> str:
        thing, place = self._errand.thing, self._errand.place
        try:
            if not self._fetch(thing):
                return self._fail(f"the {thing} was nowhere that could be searched")
            if self._house.where.get(thing) != place and not self._deliver(thing, place):
                return self._fail(f"the {thing} could not be put on the {place}")
        except OutOfPatienceError:
            return self._fail(f"gave up after {self._done} steps")
        self._episode.complete("success", score=1.0, verdict=f"the {thing} is on the {place}")
        return "success"

    def _fail(self, reason: str) -> str:
        self._episode.complete("failure", reason=reason)
        return "failure"

    # ── doing ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _do(self, tool: str, **parameters: str) -> Answer:
        """Use a tool of the house, and log it with the time that it really took."""
        if self._done >= self._habit.patience:
            raise OutOfPatienceError
        self._done += 1
        act = self._house.tools()[tool]
        start = time.perf_counter()
        answer = act(**parameters)
        spent = (time.perf_counter() - start) * 1_000
        self._episode.step(
            tool=tool,
            action=f"{tool} {' '.join(parameters.values())}",
            parameters=parameters,
            observation=answer.text if answer.worked else None,
            error=None if answer.worked else answer.text,
            success=answer.worked,
            latency_ms=spent,
        )
        return answer

    def _fetch(self, thing: str) -> bool:
        """Search the house for a thing and take it; whether it is in the agent's hands."""
        for room in sorted(ROOMS, key=lambda room: (room == DARK, room)):
            self._do("go", room=room)
            if room == DARK and not self._is_lit():
                continue
            for place in ROOMS[room]:
                if self._sees(thing, place) and self._do("take", thing=thing).worked:
                    return True
        return False

    def _sees(self, thing: str, place: str) -> bool:
        if place in CLOSED and place not in self._house.open:
            self._do("open", place=place)
        if place == LOCKED and place not in self._house.open and not self._unlock(seeking=thing):
            return False
        answer = self._do("look", place=place)
        return answer.worked and thing in re.findall(r"\w+", answer.text)

    def _is_lit(self) -> bool:
        if LAMP in self._house.held:
            return True
        if not self._habit.prepared:
            place = ROOMS[DARK][0]
            return self._do("look", place=place).worked or self._do("look", place=place).worked
        return self._fetch(LAMP) and self._do("go", room=DARK).worked

    def _unlock(self, *, seeking: str) -> bool:
        if self._do("open", place=LOCKED).worked:
            return True
        if not self._habit.prepared:
            return self._do("open", place=LOCKED).worked
        if seeking == KEY or not self._fetch(KEY):
            return False
        self._do("go", room=room_of(LOCKED))
        return self._do("open", place=LOCKED).worked

    def _deliver(self, thing: str, place: str) -> bool:
        room = room_of(place)
        self._do("go", room=room)
        if room == DARK and not self._is_lit():
            return False
        if place in CLOSED and place not in self._house.open:
            self._do("open", place=place)
        if place == LOCKED and place not in self._house.open and not self._unlock(seeking=thing):
            return False
        return self._do("put", thing=thing, place=place).worked
