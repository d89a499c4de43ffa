"""The SDK as a person uses it: open a mind, live through episodes, and what happens when they end otherwise."""

from __future__ import annotations

import asyncio
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

import tacit
from tacit.ids import parse_id
from tacit.stores import schema
from tacit.stores.sqlite import MEMORY
from trials import kinds_of, open_mind, settings


@pytest.fixture
def mind() -> Iterator[tacit.Mind]:
    with open_mind(MEMORY) as mind:
        yield mind


def outcome_of(mind: tacit.Mind, id: str) -> tacit.Outcome:
    outcome = mind.get(id).outcome
    assert outcome is not None
    return outcome


# ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("AP-01", "EP-01")
def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    mind = tacit.open(tmp_path / "agent.db", mind="support")
    with mind.episode(
        "Change the seat on HAT136", domain="airline", task_type="support", tags=["seat"], key=None
    ) as episode:
        episode.step(
            tool="get_user_details",
            action="look up the passenger",
            parameters={"user": "mia"},
            observation="Mia, 14C",
            success=True,
            latency_ms=40,
        )
        episode.complete("success", score=1.0, verdict="seat changed")
    mind.settle(timeout=60)
    (summary,) = mind.episodes()
    assert (summary.status, summary.domain, summary.task_type, summary.steps) == ("success", "airline", "support", 1)
    reward = mind.reward(summary.id)
    assert reward is not None
    assert mind.reflection(summary.id) is not None
    mind.close()

    store = tacit.open_store(tmp_path / "agent.db")
    assert store.mind("support").get(summary.id).steps[0].observation == "Mia, 14C"
    assert store.mind("support", tenant="acme").episodes() == []
    store.close()


@pytest.mark.requirement("AP-01")
def test_without_a_location_the_settings_say_where_and_whose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_STORE", str(tmp_path / "set.db"))
    monkeypatch.setenv("TACIT_MIND", "helper")
    monkeypatch.setenv("TACIT_TENANT", "acme")
    with tacit.open() as mind:
        assert (mind.name, mind.tenant) == ("helper", "acme")
        id = mind.record({"task": {"description": "d"}})
    with tacit.open(tmp_path / "set.db", mind="helper", tenant="acme") as mind:
        assert mind.get(id).task.description == "d"


@pytest.mark.requirement("AP-01")
@pytest.mark.parametrize("name", ["", " a", "a/b", "x" * 101, "a\x00b"])
def test_a_name_that_a_mind_cannot_have_is_refused(name: str, tmp_path: Path) -> None:
    with (
        tacit.open_store(tmp_path / "agent.db", settings=settings()) as store,
        pytest.raises(tacit.InvalidInput, match="not a name"),
    ):
        store.mind(name)


@pytest.mark.requirement("AP-01")
@pytest.mark.parametrize("names", [{"mind": ""}, {"tenant": ""}, {"mind": "a", "tenant": ""}])
def test_an_empty_name_does_not_stand_for_the_one_of_the_settings(names: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(tacit.InvalidInput, match="not a name"):
        tacit.open(tmp_path / "agent.db", settings=settings(), **names)
    with tacit.open_store(tmp_path / "agent.db", settings=settings()) as store:
        assert store.minds() == []


@pytest.mark.requirement("SE-05")
@pytest.mark.parametrize("passphrase", [b"secret", 5])
def test_a_passphrase_that_is_no_text_is_refused_and_not_repeated(passphrase: Any, tmp_path: Path) -> None:
    with pytest.raises(tacit.InvalidInput, match=r"must be a text, not (bytes|int)$"):
        tacit.open(tmp_path / "agent.db", settings=settings(), passphrase=passphrase)
    assert not (tmp_path / "agent.db").exists()


@pytest.mark.requirement("AP-07")
def test_a_time_that_cannot_be_kept_is_refused_with_the_times_that_can(mind: tacit.Mind) -> None:
    with pytest.raises(tacit.InvalidInput, match="only times between July 1684 and June 2255 can be kept"):
        mind.episode("d", started_at=datetime(9999, 1, 1, tzinfo=UTC))


@pytest.mark.requirement("AP-01")
def test_times_without_a_zone_are_refused(mind: tacit.Mind) -> None:
    naive, before = datetime(2026, 1, 1), len(kinds_of(mind))
    for call in (
        lambda: mind.episode("d", started_at=naive),
        lambda: mind.episodes(started_after=naive),
        lambda: mind.episodes(started_before=naive),
        lambda: mind.at(naive),
    ):
        with pytest.raises(tacit.InvalidInput, match="zone"):
            call()
    assert len(kinds_of(mind)) == before
    episode = mind.episode("d", started_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert mind.get(episode.id).started_at == datetime(2026, 1, 1, tzinfo=UTC)


# ── how an episode ends ──────────────────────────────────────────────────────────────────────────────────────────────


class PaymentRefusedError(Exception):
    """An agent's own exception, with something in it that nobody should keep."""


@pytest.mark.requirement("EP-08")
def test_an_exception_records_a_failure_with_its_type_without_its_message_and_goes_on_its_way(
    mind: tacit.Mind,
) -> None:
    with pytest.raises(PaymentRefusedError, match="card 4711"), mind.episode("pay") as episode:  # noqa: PT012
        episode.step(tool="pay")
        raise PaymentRefusedError("card 4711 of Mia")
    outcome = outcome_of(mind, episode.id)
    assert (outcome.kind, outcome.reason) == ("failure", "PaymentRefusedError")
    assert outcome.details["exception"].endswith("test_sdk.PaymentRefusedError")
    assert "4711" not in str(mind.get(episode.id))
    mind.settle()
    assert mind.statistics().totals.outcomes == {"failure": 1}


@pytest.mark.requirement("EP-08")
@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, SystemExit, GeneratorExit])
def test_an_interruption_leaves_the_episode_open_and_resumable(mind: tacit.Mind, error: type[BaseException]) -> None:
    with pytest.raises(error), mind.episode("interrupted") as episode:  # noqa: PT012
        episode.step(tool="before")
        raise error
    assert mind.get(episode.id).status == "open"
    with mind.resume(episode.id) as again:
        again.step(tool="after")
        again.complete("success")
    found = mind.get(episode.id)
    assert ([step.tool for step in found.steps], found.status) == (["before", "after"], "success")


@pytest.mark.requirement("EP-08")
def test_leaving_without_complete_warns_and_keeps_the_episode_open_and_outside_of_the_statistics(
    mind: tacit.Mind,
) -> None:
    with pytest.warns(tacit.OpenEpisodeWarning, match="stays open") as caught, mind.episode("left") as episode:
        episode.step(tool="t")
    assert caught[0].filename == __file__
    assert mind.get(episode.id).status == "open"
    mind.settle()
    assert mind.statistics().totals.episodes == 0
    episode.complete("success")
    mind.settle()
    assert mind.statistics().totals.episodes == 1


@pytest.mark.requirement("EP-08")
def test_an_exception_after_complete_changes_nothing(mind: tacit.Mind) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="later"), mind.episode("done already") as episode:  # noqa: PT012
            episode.complete("success", verdict="fine")
            raise ValueError("later")
    assert outcome_of(mind, episode.id) == tacit.Outcome(kind="success", verdict="fine")


@pytest.mark.requirement("EP-08")
def test_when_the_failure_cannot_be_recorded_the_agents_own_exception_still_comes_through(tmp_path: Path) -> None:
    mind = open_mind(tmp_path / "agent.db")
    episode = mind.episode("closed under it", buffered=True)
    with pytest.raises(PaymentRefusedError) as caught, episode:  # noqa: PT012
        episode.step(tool="written by the close")
        mind.close()
        raise PaymentRefusedError("no")
    assert caught.value.__notes__ == ["Tacit could not record this failure: the store is closed"]


@pytest.mark.requirement("AP-07")
def test_a_status_or_an_outcome_that_does_not_exist_is_refused_with_those_that_do(mind: tacit.Mind) -> None:
    episode = mind.episode("Buy a cup")
    with pytest.raises(tacit.InvalidInput, match="'maybe' is not a step status; use one of success, error, timeout"):
        episode.step(tool="buy", status="maybe")  # type: ignore[arg-type]
    with pytest.raises(tacit.InvalidInput, match="'done' is not an outcome; use one of success, partial, failure"):
        episode.complete("done")  # type: ignore[arg-type]
    assert mind.get(episode.id).steps == ()


@pytest.mark.requirement("EP-08")
def test_the_same_completion_again_is_nothing_and_another_one_is_refused(mind: tacit.Mind) -> None:
    episode = mind.episode("once")
    given: dict[str, Any] = {"score": 0.5, "reason": "no seat", "details": {"row": 14}}
    episode.complete("failure", **given)
    before = kinds_of(mind)
    episode.complete("failure", **given)
    tacit.LiveEpisode(mind.recorder, parse_id(episode.id)).complete("failure", **given)
    others: list[tuple[Any, dict[str, Any]]] = [
        ("success", {}),
        ("failure", {**given, "score": 0.6}),
        ("failure", {**given, "details": {"row": 15}}),
        ("failure", {}),
    ]
    for kind, fields in others:
        with pytest.raises(tacit.AlreadyCompleted, match="already completed"):
            episode.complete(kind, **fields)
    assert kinds_of(mind) == before
    assert outcome_of(mind, episode.id).details == {"row": 14}


@pytest.mark.requirement("EP-08")
def test_after_completion_no_step_follows_and_nobody_can_resume(mind: tacit.Mind) -> None:
    episode = mind.episode("ended")
    episode.complete("abstained", reason="too risky", signals=["no permission"])
    before = kinds_of(mind)
    for call in (lambda: episode.step(tool="t"), lambda: mind.resume(episode.id)):
        with pytest.raises(tacit.Conflict, match="completed"):
            call()
    assert kinds_of(mind) == before


@pytest.mark.requirement("EP-08")
def test_what_is_said_about_an_episode_that_does_not_exist_is_refused(mind: tacit.Mind) -> None:
    nobody = "0190b7c2-6e1f-7a52-9d3c-000000000000"
    calls: list[Callable[[], object]] = [
        lambda: mind.get(nobody),
        lambda: mind.update(nobody, add_tags=["t"]),
        lambda: mind.relate(nobody, "refers", nobody),
        lambda: mind.handoff(nobody),
        lambda: mind.read_handoff(nobody),
        lambda: mind.resume(nobody),
        lambda: mind.reward(nobody),
        lambda: mind.episodes(after=nobody),
    ]
    for number, call in enumerate(calls):
        with pytest.raises(tacit.NotFound):
            raise AssertionError(f"call {number} returned {call()!r}")
    for wrong in ("", "not an id", "123", None):
        with pytest.raises(tacit.InvalidInput, match="not an id"):
            mind.get(wrong)  # type: ignore[arg-type]
    assert kinds_of(mind) == ["mind.created"]


@pytest.mark.requirement("EP-08")
def test_each_step_is_one_small_event_and_never_a_rewrite_of_the_episode(mind: tacit.Mind) -> None:
    episode = mind.episode("long", metadata={"large": "x" * 50_000})
    for number in range(30):
        episode.step(tool="t", observation=f"{number}")
    assert kinds_of(mind) == ["mind.created", "episode.started", *["step.logged"] * 30]
    bodies = select(schema.payload.c.body).order_by(schema.payload.c.position)
    with mind.recorder.journal.store.snapshot() as snapshot:
        sizes = [len(row[0]) for row in snapshot.rows(bodies)]
    assert max(sizes[2:]) < 100


# ── buffering ────────────────────────────────────────────────────────────────────────────────────────────────────────


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds that happens in another thread."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        threading.Event().wait(0.005)


@pytest.mark.requirement("EP-08")
def test_buffered_steps_are_written_together_when_there_are_enough() -> None:
    with open_mind(MEMORY, buffer__steps=5, buffer__seconds=3600) as mind:
        episode = mind.episode("buffered", buffered=True)
        assert episode.buffered
        answers = [episode.step(tool=f"tool {number}") for number in range(12)]
        assert answers == [None] * 12, "nothing is acknowledged as durable"
        assert [step.tool for step in mind.get(episode.id).steps] == [f"tool {number}" for number in range(10)]
        episode.flush()
        assert len(mind.get(episode.id).steps) == 12
        episode.flush()
        assert len(mind.get(episode.id).steps) == 12


@pytest.mark.requirement("EP-08")
def test_buffered_steps_are_written_when_the_oldest_is_old_enough() -> None:
    with open_mind(MEMORY, buffer__steps=50, buffer__seconds=0.02) as mind:
        episode = mind.episode("buffered", buffered=True)
        for count in (1, 2):
            episode.step(tool="t")
            eventually(lambda count=count: len(mind.get(episode.id).steps) == count)  # type: ignore[misc]


@pytest.mark.requirement("EP-08")
def test_closing_the_mind_writes_what_is_still_buffered(tmp_path: Path) -> None:
    mind = open_mind(tmp_path / "a.db")
    episode = mind.episode("held back", buffered=True)
    assert episode.step(tool="find") is None
    mind.close()
    with open_mind(tmp_path / "a.db") as again:
        assert [step.tool for step in again.get(episode.id).steps] == ["find"]


@pytest.mark.requirement("EP-08")
@pytest.mark.parametrize("end", ["complete", "checkpoint", "leave", "raise", "interrupt"])
def test_the_end_of_a_block_a_completion_and_a_checkpoint_write_what_is_buffered(end: str) -> None:
    with open_mind(MEMORY, buffer__seconds=3600) as mind:
        episode = mind.episode("buffered", buffered=True)
        errors = {"raise": ValueError("no"), "interrupt": KeyboardInterrupt()}
        try:
            with warnings.catch_warnings(), episode:
                warnings.simplefilter("ignore", tacit.OpenEpisodeWarning)
                episode.step(tool="t")
                if end in errors:
                    raise errors[end]
                if end == "complete":
                    episode.complete("success")
                if end == "checkpoint":
                    episode.checkpoint("here")
                    assert len(mind.get(episode.id).steps) == 1
        except (ValueError, KeyboardInterrupt):
            assert end in errors
        assert len(mind.get(episode.id).steps) == 1
        with pytest.raises(tacit.Closed, match="block has ended"):
            episode.step(tool="too late")


@pytest.mark.requirement("EP-08")
def test_a_step_that_could_not_be_written_in_the_background_is_reported_by_the_next_call() -> None:
    too_many = open_mind(MEMORY, buffer__seconds=0.01, limits__steps_per_episode=1)
    with pytest.raises(tacit.LimitExceeded), too_many as mind:  # noqa: PT012 - the close says again what is not written
        episode = mind.episode("too many", buffered=True)
        episode.step(tool="one")
        eventually(lambda: len(mind.get(episode.id).steps) == 1)
        episode.step(tool="two")

        def refused() -> bool:
            try:
                episode.step(tool="three")
            except tacit.LimitExceeded:
                return True
            return False

        eventually(refused)
        assert [step.tool for step in mind.get(episode.id).steps] == ["one"]
        episode.step(tool="four")


@pytest.mark.requirement("EP-08")
def test_a_buffered_step_that_is_refused_is_told_once_and_the_others_are_written() -> None:
    with open_mind(MEMORY, buffer__seconds=3600) as mind:
        episode = mind.episode("buffered", buffered=True)
        mind.episode("elsewhere")
        for tool, key in (("one", "a"), ("two", "a"), ("three", "b"), ("four", "b"), ("five", None)):
            episode.step(tool=tool, key=key)
        with pytest.raises(tacit.Conflict) as caught:
            episode.flush()
        notes = "\n".join(caught.value.__notes__)
        assert "is not written" in notes
        assert notes.count("another buffered step was refused") == 1
        assert [step.tool for step in mind.get(episode.id).steps] == ["one", "three", "five"]
        episode.flush()
        episode.step(tool="six")
        episode.complete("success")
        assert [step.tool for step in mind.get(episode.id).steps] == ["one", "three", "five", "six"]


@pytest.mark.requirement("EP-08")
def test_buffered_steps_are_kept_while_the_store_cannot_write(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_mind(MEMORY, buffer__seconds=3600) as mind:
        episode = mind.episode("buffered", buffered=True)
        for tool, key in (("one", "a"), ("two", "a"), ("three", None)):
            episode.step(tool=tool, key=key)
        submit, left = mind.recorder.journal.submit, [1, 1, 1]

        def full(job: Any) -> Any:  # the third attempt: after the group and the first step
            left.pop()
            if not left:
                raise tacit.StoreFull("no space is left")
            return submit(job)

        with monkeypatch.context() as patched:
            patched.setattr(mind.recorder.journal, "submit", full)
            with pytest.raises(tacit.StoreFull):
                episode.flush()
        assert [step.tool for step in mind.get(episode.id).steps] == ["one"]
        with pytest.raises(tacit.Conflict):
            episode.flush()
        assert [step.tool for step in mind.get(episode.id).steps] == ["one", "three"]


@pytest.mark.requirement("EP-08")
def test_a_bad_step_is_refused_when_it_is_given_not_when_it_is_written() -> None:
    with open_mind(MEMORY, buffer__seconds=3600) as mind:
        episode = mind.episode("buffered", buffered=True)
        episode.step(tool="good")
        with pytest.raises(tacit.LimitExceeded):
            episode.step(tool="x" * 1_000)
        episode.flush()
        assert [step.tool for step in mind.get(episode.id).steps] == ["good"]


COLOURED = "\x1b[31mred\x1b[0m"


@pytest.mark.requirement("EP-08")
@pytest.mark.parametrize(
    "observation", ["x" * 20_000, COLOURED, float("nan"), b"bytes"], ids=["long", "colours", "nan", "bytes"]
)
def test_what_tacit_refuses_is_no_failure_of_the_agents(mind: tacit.Mind, observation: Any) -> None:
    episode = mind.episode("run the tests")
    with pytest.raises(tacit.InvalidInput) as caught, episode:
        episode.step(tool="bash", observation=observation, success=True)
    assert episode.id in caught.value.__notes__[0]
    assert mind.get(episode.id).status == "open"
    with mind.resume(episode.id) as again:
        again.step(tool="bash", observation="shorter", success=True)
        again.complete("success")
    mind.settle()
    assert mind.statistics().totals.outcomes == {"success": 1}


@pytest.mark.requirement("EP-08", "JR-10")
@pytest.mark.parametrize("buffered", [False, True])
def test_steps_are_shortened_and_cleaned_with_a_mark_when_asked_for(mind: tacit.Mind, buffered: bool) -> None:
    with mind.episode("run the tests", fit="truncate", buffered=buffered) as episode:
        episode.step(tool="bash", observation="é" * 20_000, success=True)
        episode.step(tool="bash", observation=COLOURED, parameters={"n": 2**60}, success=True)
        with pytest.raises(tacit.InvalidInput):
            episode.step(tool="bash", observation=float("nan"))
        episode.complete("success")
    long, coloured = mind.get(episode.id).steps
    assert "shortened" in long.observation
    assert len(long.observation.encode()) <= 10_000
    assert coloured.observation == "\ufffd[31mred\ufffd[0m"
    assert coloured.parameters == {"n": str(2**60)}
    with pytest.raises(tacit.InvalidInput, match="use one of refuse, truncate"):
        mind.episode("run", fit="squeeze")  # type: ignore[arg-type]
