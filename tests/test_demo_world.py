"""The little world of the demonstration, and what its agent is sent to do."""

from __future__ import annotations

import random

from tacit.cli import demo_world
from tacit.cli.demo_agent import HABITS, errands


def test_the_house_keeps_its_rules() -> None:
    house = demo_world.House(where={"cup": "shelf", "key": "desk", "lamp": "bench", "coin": "chest"})
    assert not house.open_up("desk").worked  # in another room
    assert not house.take("cup").worked
    house.go("cellar")
    assert house.look("shelf").text == "It is too dark to see anything."
    house.go("hall")
    assert house.take("lamp").worked
    house.go("cellar")
    assert house.look("shelf").text == "On the shelf: cup."
    house.go("study")
    assert house.open_up("chest").text == "The chest is locked."
    assert house.look("chest").text == "The chest is closed."
    assert house.take("key").worked
    assert house.open_up("chest").worked
    assert house.take("coin").text == "Your hands are full: lamp, key."
    assert house.put("key", "desk").worked
    assert house.take("coin").worked
    assert not house.put("cup", "desk").worked
    assert not house.go("attic").worked


def test_errands_are_spread_over_all_habits() -> None:
    done = list(errands(6, random.Random(1)))
    assert [habit for _, habit, _ in done] == [*HABITS, *HABITS]
    assert all(set(demo_world.THINGS) <= set(house.where) for _, _, house in done)
