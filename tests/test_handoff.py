"""Handing an episode over, and how episodes stand to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tacit
from tacit.experience.episode import ACYCLIC_RELATIONS, RELATION_KINDS
from tacit.stores.sqlite import MEMORY
from trials import assert_sound, kinds_of, open_mind, settings


@pytest.fixture
def mind() -> Iterator[tacit.Mind]:
    with open_mind(MEMORY) as mind:
        yield mind


def half_done(mind: tacit.Mind) -> tacit.LiveEpisode:
    episode = mind.episode("rebook", domain="airline", tags=["flight"], metadata={"passenger": "Mia"}, agent="first")
    episode.step(tool="find", parameters={"flight": "HAT136"}, observation={"seat": "14C"}, success=True)
    return episode


# ── EP-05: handing over ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("EP-05")
def test_another_agent_of_the_same_mind_goes_on_from_a_pack(mind: tacit.Mind) -> None:
    episode = half_done(mind)
    pack = mind.handoff(episode.id, note="the seat is found", state={"next": ["pay", 2]})
    assert (pack.note, pack.state, pack.mind) == ("the seat is found", {"next": ["pay", 2]}, mind.id)
    assert (pack.record.id, pack.record.task.domain) == (episode.id, "airline")
    with mind.resume(pack, agent="second") as again:
        assert again.id == episode.id
        again.step(tool="pay")
        again.complete("success")
    found = mind.get(episode.id)
    assert ([step.tool for step in found.steps], found.status) == (["find", "pay"], "success")
    assert "episode.resumed" in kinds_of(mind)


@pytest.mark.requirement("EP-05")
def test_a_pack_survives_json_and_can_be_read_again_as_it_stood(mind: tacit.Mind) -> None:
    episode = half_done(mind)
    pack = mind.handoff(episode.id, note="“here”", state={"deep": [{"x": None}]})
    assert tacit.HandOff.from_json(pack.to_json()) == pack
    episode.step(tool="later")
    mind.update(episode.id, description="changed since")
    assert mind.read_handoff(pack.checkpoint) == pack
    assert len(mind.read_handoff(episode.checkpoint("after")).record.steps) == 2


@pytest.mark.requirement("EP-05")
def test_an_agent_of_another_mind_and_another_store_goes_on_with_what_was_done(tmp_path: Path) -> None:
    with tacit.open_store(tmp_path / "here.db", settings=settings()) as here:
        first, neighbour = here.mind("first"), here.mind("neighbour")
        episode = half_done(first)
        first.relate(episode.id, "follows", first.record({"task": {"description": "earlier"}}))
        raw = first.handoff(episode.id, note="over to you").to_json()
        pack = tacit.HandOff.from_json(raw)
        with open_mind(tmp_path / "there.db") as stranger:
            for other in (neighbour, stranger):
                with other.resume(pack, agent="second") as again:
                    again.step(tool="pay")
                    again.complete("success")
                found, own = other.get(episode.id), first.get(episode.id)
                assert found.task == own.task
                assert (found.steps[0], found.steps[1].tool) == (own.steps[0], "pay")
                assert found.started_at == own.started_at
                assert (found.status, own.status) == ("success", "open")
                other.settle()
                assert other.statistics().totals.episodes == 1
    assert_sound(tmp_path / "here.db")
    assert_sound(tmp_path / "there.db")


@pytest.mark.requirement("EP-05")
def test_a_pack_comes_back_with_the_steps_that_were_added_elsewhere(mind: tacit.Mind) -> None:
    episode = half_done(mind)
    with open_mind(MEMORY) as elsewhere:
        away = elsewhere.resume(mind.handoff(episode.id))
        away.step(tool="pay", parameters={"amount": 12.5}, latency_ms=3)
        back = elsewhere.handoff(away.id)
    for _ in range(2):  # an older or repeated pack adds nothing
        with mind.resume(back) as again:
            again.completed = True
        assert [step.tool for step in mind.get(episode.id).steps] == ["find", "pay"]
    mind.resume(episode.id).step(tool="confirm")
    with mind.resume(back) as again:
        again.complete("success")
    assert [step.tool for step in mind.get(episode.id).steps] == ["find", "pay", "confirm"]


@pytest.mark.requirement("EP-05")
def test_a_pack_that_went_on_differently_is_refused_and_changes_nothing(mind: tacit.Mind) -> None:
    episode = half_done(mind)
    with open_mind(MEMORY) as elsewhere:
        away = elsewhere.resume(mind.handoff(episode.id))
        away.step(tool="pay")
        back = elsewhere.handoff(away.id)
    episode.step(tool="cancel")
    before = kinds_of(mind)
    with pytest.raises(tacit.Conflict, match="differently"):
        mind.resume(back)
    assert kinds_of(mind) == before


@pytest.mark.requirement("EP-05")
def test_a_pack_that_arrives_twice_brings_its_episode_once(mind: tacit.Mind) -> None:
    with open_mind(MEMORY) as other:
        pack = other.handoff(half_done(other).id)
        mind.resume(pack).step(tool="one")
        mind.resume(pack).step(tool="two")
        (summary,) = mind.episodes()
        assert [step.tool for step in mind.get(summary.id).steps] == ["find", "one", "two"]


@pytest.mark.requirement("EP-05")
@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"not json", b'{"format": "tacit-handoff-1"}', "{}", b"\xff"])
def test_what_is_not_a_pack_is_refused(raw: bytes | str) -> None:
    with pytest.raises(tacit.InvalidInput, match="not a hand-off pack"):
        tacit.HandOff.from_json(raw)


@pytest.mark.requirement("EP-05")
def test_a_pack_of_a_newer_format_and_one_of_a_completed_episode_are_refused(mind: tacit.Mind) -> None:
    episode = half_done(mind)
    pack = mind.handoff(episode.id)
    with pytest.raises(tacit.InvalidInput, match="tacit-handoff-2"):
        tacit.HandOff.from_json(pack.to_json().replace(b"tacit-handoff-1", b"tacit-handoff-2"))
    episode.complete("success")
    with pytest.raises(tacit.Conflict, match="completed"):
        mind.resume(pack)


# ── EP-06: relations, tags, updates ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("EP-06")
@pytest.mark.parametrize("kind", RELATION_KINDS)
def test_relations_hold_until_they_are_taken_back_and_only_orders_are_without_circles(
    mind: tacit.Mind, kind: str
) -> None:
    one, two, three = (mind.record({"task": {"description": name}}) for name in ("one", "two", "three"))
    mind.relate(one, kind, two)
    mind.relate(two, kind, three)
    assert mind.get(one).relations == (tacit.Relation(kind=kind, episode=one, target=two),)  # type: ignore[arg-type]
    before = kinds_of(mind)
    with pytest.raises(tacit.InvalidInput, match="itself"):
        mind.relate(one, kind, one)
    with pytest.raises(tacit.Conflict, match="already"):
        mind.relate(one, kind, two)
    with pytest.raises(tacit.NotFound):
        mind.unrelate(one, kind, three)
    if kind in ACYCLIC_RELATIONS:
        for start, target in ((three, one), (two, one)):
            with pytest.raises(tacit.InvalidInput, match="circle"):
                mind.relate(start, kind, target)
        assert kinds_of(mind) == before
        mind.unrelate(two, kind, three)
    mind.relate(three, kind, one)
    assert len(mind.get(three).relations) == 1


@pytest.mark.requirement("EP-06")
def test_circles_are_looked_for_within_one_kind_of_relation(mind: tacit.Mind) -> None:
    one, two = (mind.record({"task": {"description": name}}) for name in ("one", "two"))
    mind.relate(one, "follows", two)
    mind.relate(two, "parent", one)
    with pytest.raises(tacit.InvalidInput, match="circle"):
        mind.relate(two, "follows", one)


@pytest.mark.requirement("EP-06")
def test_an_unknown_relation_and_an_unknown_target_are_refused(mind: tacit.Mind) -> None:
    one = mind.record({"task": {"description": "one"}})
    before = kinds_of(mind)
    bad: list[tuple[Callable[[], Any], type[Exception]]] = [
        (lambda: mind.relate(one, "likes", one), tacit.InvalidInput),
        (lambda: mind.relate(one, "follows", "0190b7c2-6e1f-7a52-9d3c-000000000000"), tacit.NotFound),
        (lambda: mind.relate(one, "follows", "nonsense"), tacit.InvalidInput),
    ]
    for call, error in bad:
        with pytest.raises(error):
            call()
    assert kinds_of(mind) == before


@pytest.mark.requirement("EP-06")
def test_updates_change_what_is_given_and_nothing_else_and_no_change_is_no_event(mind: tacit.Mind) -> None:
    episode = half_done(mind)
    before = mind.get(episode.id)
    changed = mind.update(
        episode.id, description="rebook two", complexity=0.7, metadata={"n": 2}, add_tags=["new", "flight"]
    )
    assert changed.task.description == "rebook two"
    assert (changed.task.complexity, changed.task.metadata, changed.task.tags) == (0.7, {"n": 2}, ("flight", "new"))
    assert (changed.task.domain, changed.task.agent) == (before.task.domain, before.task.agent)
    assert (changed.steps, changed.started_at) == (before.steps, before.started_at)
    count = len(kinds_of(mind))
    mind.update(episode.id, description="rebook two", add_tags=["new"], remove_tags=["never there"])
    assert len(kinds_of(mind)) == count
    episode.tag("third")
    assert [summary.id for summary in mind.episodes(tag="third")] == [episode.id]
    mind.update(episode.id, remove_tags=["third", "flight"])
    assert mind.get(episode.id).task.tags == ("new",)
    assert mind.episodes(tag="third") == []


@pytest.mark.requirement("EP-06")
def test_a_completed_episode_can_still_be_tagged_and_its_statistics_follow_its_kind(mind: tacit.Mind) -> None:
    id = mind.record({"task": {"description": "d", "domain": "old"}, "outcome": {"kind": "success"}})
    mind.settle()
    mind.update(id, domain="new", add_tags=["late"])
    mind.settle()
    assert [(kind.kind, kind.episodes) for kind in mind.statistics().kinds] == [("new", 1)]
    assert mind.get(id).status == "success"
