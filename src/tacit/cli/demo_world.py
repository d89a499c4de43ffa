"""A little world for the demonstration: a house with rooms, things in places, a locked chest and a dark cellar.

It is made for Tacit and small enough to be read. What an agent can do in it is a tool; a tool answers in words, and
says whether it worked.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

ROOMS: dict[str, tuple[str, ...]] = {
    "hall": ("coat rack", "bench"),
    "kitchen": ("table", "cupboard", "oven"),
    "study": ("desk", "drawer", "chest"),
    "bedroom": ("bed", "wardrobe"),
    "cellar": ("shelf", "barrel"),
}
"""Each room with the places in it. Every room opens onto the hall."""
CLOSED = ("cupboard", "drawer", "wardrobe")
LOCKED = "chest"
DARK = "cellar"
KEY, LAMP = "key", "lamp"
THINGS = ("cup", "book", "letter", "coin", "scarf", "candle")
HANDS = 2
"""How many things can be carried at once."""


@dataclass(frozen=True)
class Answer:
    """What a tool says. ``worked`` False means that nothing has changed."""

    text: str
    worked: bool = True


@dataclass
class House:
    """The house, and where the agent stands in it."""

    where: dict[str, str]
    """For each thing, the place it lies in."""
    room: str = "hall"
    open: set[str] = field(default_factory=set)
    held: list[str] = field(default_factory=list)

    def tools(self) -> dict[str, Callable[..., Answer]]:
        """What can be done here, by name."""
        return {"look": self.look, "go": self.go, "open": self.open_up, "take": self.take, "put": self.put}

    def look(self, place: str) -> Answer:
        """See what lies in a place of this room."""
        problem = self._cannot_reach(place)
        if problem:
            return problem
        found = sorted(thing for thing, lies_in in self.where.items() if lies_in == place)
        return Answer(f"On the {place}: {', '.join(found)}." if found else f"Nothing on the {place}.")

    def go(self, room: str) -> Answer:
        """Walk to another room, by way of the hall."""
        if room not in ROOMS:
            return Answer(f"There is no {room}.", worked=False)
        self.room = room
        return Answer(f"You are in the {room}. You see: {', '.join(ROOMS[room])}.")

    def open_up(self, place: str) -> Answer:
        """Open a place that is closed or locked."""
        if place not in ROOMS[self.room]:
            return Answer(f"There is no {place} in the {self.room}.", worked=False)
        if place == LOCKED and KEY not in self.held:
            return Answer(f"The {place} is locked.", worked=False)
        self.open.add(place)
        return Answer(f"The {place} is open.")

    def take(self, thing: str) -> Answer:
        """Pick up a thing that lies within reach."""
        place = self.where.get(thing, "")
        if place not in ROOMS[self.room] or self._cannot_reach(place):
            return Answer(f"There is no {thing} within reach.", worked=False)
        if len(self.held) >= HANDS:
            return Answer(f"Your hands are full: {', '.join(self.held)}.", worked=False)
        self.held.append(thing)
        del self.where[thing]
        return Answer(f"You have the {thing}.")

    def put(self, thing: str, place: str) -> Answer:
        """Put down a thing that is held."""
        if thing not in self.held:
            return Answer(f"You do not have the {thing}.", worked=False)
        problem = self._cannot_reach(place)
        if problem:
            return problem
        self.held.remove(thing)
        self.where[thing] = place
        return Answer(f"The {thing} is on the {place}.")

    def _cannot_reach(self, place: str) -> Answer | None:
        if place not in ROOMS[self.room]:
            return Answer(f"There is no {place} in the {self.room}.", worked=False)
        if self.room == DARK and LAMP not in self.held:
            return Answer("It is too dark to see anything.", worked=False)
        if place in (*CLOSED, LOCKED) and place not in self.open:
            return Answer(f"The {place} is closed.", worked=False)
        return None


def furnished(chance: random.Random) -> House:
    """A house with its things in places drawn at random. Key and lamp never lie where one needs them to get in."""
    places = [place for rooms in ROOMS.values() for place in rooms]
    open_places = [place for room, rooms in ROOMS.items() if room != DARK for place in rooms if place != LOCKED]
    where = {thing: chance.choice(places) for thing in THINGS}
    return House(where={**where, KEY: chance.choice(open_places), LAMP: chance.choice(open_places)})


def room_of(place: str) -> str:
    """The room that a place is in."""
    return next(room for room, places in ROOMS.items() if place in places)
