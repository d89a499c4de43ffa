"""Patterns: what is planted is found, what is not is not, and counts are exact."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from learning_trials import DAY, NOW, attempt, call, counted, found_in, trace
from tacit.learning.lessons.trace import LONGEST_TRACE, Trace
from tacit.learning.patterns.attempts import attempts_in, design_effect, likeness_of_attempts
from tacit.learning.patterns.claim import ANY
from tacit.learning.patterns.heuristics import heuristics, retired
from tacit.learning.patterns.hybrid import fuse
from tacit.learning.patterns.mining import MiningPolicy, mine
from tacit.learning.patterns.sequences import subsequences

TOOLS = [f"t{number}" for number in range(8)]


def noise(chance: random.Random, count: int, rate: float = 0.5, **task: Any) -> list[Trace]:
    """Episodes of random calls whose outcome has nothing to do with them."""
    return [
        trace(chance.choices(TOOLS, k=6), "success" if chance.random() < rate else "failure", **task)
        for _ in range(count)
    ]


def planted(chance: random.Random, count: int) -> list[Trace]:
    """Half of the episodes call find and then check, which makes success likely."""
    found = []
    for number in range(count):
        tools = chance.choices(TOOLS, k=5)
        has = number % 2 == 0
        if has:
            tools[2:3] = ["find", "check"]
        found.append(trace(tools, "success" if chance.random() < (0.9 if has else 0.3) else "failure"))
    return found


@pytest.mark.requirement("LE-01")
def test_a_planted_sequence_is_found_and_stands() -> None:
    found = found_in(planted(random.Random(1), 200))["find → check"]
    assert (found.support, found.stands, found.strategy) == (100, True, "sequence")
    assert found.lift is not None
    assert 0.45 < found.lift.low < found.lift.high < 0.8
    assert len(found.evidence) == 5


@pytest.mark.requirement("LE-01")
def test_in_noise_hardly_anything_stands() -> None:
    standing = [sum(each.stands for each in found_in(noise(random.Random(seed), 200)).values()) for seed in range(5)]
    assert sum(count > 0 for count in standing) <= 1


@pytest.mark.requirement("LE-01")
def test_sequences_have_two_to_five_calls_with_the_gaps_that_are_allowed() -> None:
    found = subsequences(list("abcdefg"))
    assert ("a", "d") in found  # two left out
    assert ("a", "e") not in found  # three
    assert ("a", "c", "e") in found  # one at each place
    assert ("a", "d", "e") not in found
    assert ("a", "b", "c", "d", "e") in found
    assert ("a", "c", "d", "e") not in found
    assert max(map(len, found)) == 5


@pytest.mark.requirement("LE-02")
def test_what_to_do_in_a_state_is_told_apart_by_its_outcomes() -> None:
    chance = random.Random(2)
    traces = []
    for number in range(200):
        choice = "ask" if number % 2 else "guess"
        well = chance.random() < (0.85 if choice == "ask" else 0.35)
        traces.append(trace(["look", choice, "end"], "success" if well else "failure"))
    found = found_in(traces)
    ask, guess = found["after look worked: ask"], found["after look worked: guess"]
    assert ask.helpful
    assert guess.harmful
    assert ask.others == guess.support == 100


@pytest.mark.requirement("LE-03")
def test_what_led_out_of_an_error_is_known_and_so_is_what_nothing_led_out_of() -> None:
    refused = call("pay", error="card 4711 was declined")
    lost = call("pay", error="account 9 is locked")
    traces = [trace([refused, "change_card", call("pay", "paid")], "success") for _ in range(20)]
    traces += [trace([refused, "wait"], "failure") for _ in range(20)]
    traces += [trace([lost], "failure") for _ in range(10)]
    found = found_in(traces)
    remedy = found["after “card <number> was declined” from pay: change_card first"]
    assert (remedy.support, remedy.successes) == (20, 20)
    assert remedy.helpful
    assert found["after “card <number> was declined” from pay: wait first"].successes == 0
    hopeless = found["after “account <number> is locked” from pay: no call any more"]
    assert (hopeless.support, hopeless.successes) == (10, 0)


@pytest.mark.requirement("LE-03")
def test_the_same_call_again_other_arguments_and_another_tool_are_different_remedies() -> None:
    wrong = call("find", error="no user 12", user=12)
    answer = call("find", "Ann", user=7)
    traces = [trace([wrong, wrong, wrong], "failure") for _ in range(10)]
    traces += [trace([wrong, answer], "failure") for _ in range(10)]
    traces += [trace([wrong, "list_users", answer], "failure") for _ in range(10)]
    found = found_in(traces)
    told = {text: (each.support, each.successes) for text, each in found.items() if each.strategy == "recovery"}
    assert told == {
        "after “no user <number>” from find: the same call again": (10, 0),
        "after “no user <number>” from find: no call any more": (10, 0),
        "after “no user <number>” from find: find with other arguments": (10, 10),
        "after “no user <number>” from find: list_users first": (10, 10),
    }
    assert found["after “no user <number>” from find: the same call again"].harmful


@pytest.mark.requirement("LE-03")
def test_what_came_after_an_error_did_not_help_if_the_call_failed_again_though_the_episode_succeeded() -> None:
    broken = call("print", error="out of paper")
    tried = [trace([broken, "wait", broken, "send_mail"], "success") for _ in range(4)]
    let_be = [trace([broken, "send_mail"], "success") for _ in range(4)]
    found = found_in([*tried, *let_be])
    waited, went_on = (found[f"after “out of paper” from print: {tool} first"] for tool in ("wait", "send_mail"))
    assert (waited.support, waited.successes) == (4, 0)
    assert (went_on.support, went_on.successes) == (8, 8)


@pytest.mark.requirement("LE-04")
def test_which_tool_suits_a_context_is_found_and_not_where_the_context_is_missing() -> None:
    chance = random.Random(3)
    traces = []
    for number in range(240):
        refund, bank = number % 2 == 0, number % 4 < 2
        well = chance.random() < (0.9 if refund and bank else 0.4)
        text = "give money back" if refund else "send parcel"
        traces.append(trace(["bank" if bank else "mail", "close"], "success" if well else "failure", description=text))
    found = found_in(traces)
    assert found["when the task mentions “money”: use bank"].helpful
    assert not found["when the task mentions “parcel”: use bank"].stands


@pytest.mark.requirement("LE-04")
def test_words_that_nearly_every_task_has_or_that_change_nothing_are_no_conditions() -> None:
    chance = random.Random(4)
    traces = []
    for number in range(400):
        bank, kind = number % 2 == 0, chance.choice(["parcel", "money", "letter"])
        well = chance.random() < (0.9 if bank else 0.3)
        text = f"please and {kind}" if chance.random() < 0.8 else kind
        traces.append(trace(["bank" if bank else "mail"], "success" if well else "failure", description=text))
    found = found_in(traces)
    assert found["use bank"].helpful
    assert "when the task mentions “and”: use bank" not in found
    assert not any(each.stands for text, each in found.items() if text.startswith("when the task mentions"))


def trials(chance: random.Random, tasks: int, each: int, rate: Any, uses: Any, **task: Any) -> list[Trace]:
    """Several attempts at each of some tasks, in words that vary; ``rate(task, used)`` is the chance of success and
    ``uses(task)`` that of cancelling."""
    found = []
    for number in range(tasks):
        for time in range(each):
            used = chance.random() < uses(number)
            steps = ["look", "cancel" if used else "change", "end"]
            outcome = "success" if chance.random() < rate(number, used) else "failure"
            words = f"task {'abcdefghij'[number % 10] * (2 + number)} said {'klmn'[time] * 3}"
            about = {name: value(number) for name, value in task.items()}
            found.append(trace(steps, outcome, description=words, **about))
    return found


@pytest.mark.requirement("LE-01", "LE-07")
def test_what_a_hard_task_demands_is_no_pitfall_where_tasks_were_tried_several_times() -> None:
    """Every fifth task can only be done by cancelling, and is hard; cancelling itself changes nothing."""
    made = trials(
        random.Random(5), 50, 4, lambda task, _: 0.1 if task % 5 == 0 else 0.6,
        lambda task: 0.95 if task % 5 == 0 else 0.05, metadata=lambda task: {"task_id": task},
    )  # fmt: skip
    confounded = [replace(each, task=str(number).encode()) for number, each in enumerate(made)]
    assert found_in(confounded)["use cancel"].harmful
    assert not any(each.stands for each in found_in(made).values())


@pytest.mark.requirement("LE-01", "LE-07")
def test_what_changes_the_outcome_within_the_same_task_is_found_however_hard_the_tasks_are() -> None:
    made = trials(
        random.Random(6), 60, 4, lambda task, used: (0.2 if task % 2 else 0.9) - (0.2 if used else 0.0),
        lambda _: 0.5, metadata=lambda task: {"task_id": task},
    )  # fmt: skip
    found = found_in(made)["use cancel"]
    assert found.harmful
    assert found.lift is not None
    assert found.lift.low < -0.2 < found.lift.high


@pytest.mark.requirement("LE-07")
def test_loops_and_searches_that_lead_nowhere_are_pitfalls() -> None:
    again = [call("open", "closed", door=1)] * 4
    traces = [trace([*again, "leave"], "failure") for _ in range(15)]
    traces += [trace([call("open", f"room {door}", door=door) for door in range(4)], "success") for _ in range(15)]
    found = found_in(traces)
    assert found["the same call of open 3 times or more"].harmful
    assert found["3 calls of open in a row that brought nothing new"].harmful


@st.composite
def some_traces(draw: Any) -> list[Trace]:
    made = []
    for _ in range(draw(st.integers(0, 8))):
        tools = draw(st.lists(st.sampled_from(["a", "b", "c"]), max_size=6))
        failed = draw(st.booleans())
        steps = [*tools[:-1], call(tools[-1], error="broken 7")] if tools and failed else tools
        made.append(
            trace(
                steps,
                draw(st.sampled_from(["success", "failure", "partial"])),
                task_type=draw(st.sampled_from(["", "x"])),
                ended_at=NOW - draw(st.integers(0, 90)) * DAY,
                description=draw(st.sampled_from(["fetch water", "carry wood"])),
            )
        )
    return made


@pytest.mark.requirement("LE-07")
def test_what_most_successes_had_by_their_last_call_only_is_told_to_come_with_the_end() -> None:
    done = [trace(["find", "take", "submit"]) for _ in range(30)]
    lost = [trace(["look", "look", "find"], "failure") for _ in range(30)]
    found = found_in([*done, *lost, trace(["take", "submit", "look"])])
    assert (found["use submit"].at_end, found["use submit"].successes, found["use submit"].closing) == (30, 31, True)
    assert (found["use take"].at_end, found["use take"].stands, found["use take"].closing) == (0, True, False)
    assert not found["use look"].closing  # it is a pitfall, and no success ended with it alone


@pytest.mark.no_cover
@pytest.mark.requirement("LE-08")
@settings(max_examples=60, deadline=None)
@given(some_traces(), some_traces(), st.randoms())
def test_counts_are_those_of_the_episodes_that_are_there_however_they_came_and_went(
    kept: list[Trace], gone: list[Trace], chance: random.Random
) -> None:
    counts = counted(kept)
    other = counted([])
    moves = [("add", f"g{number}", each) for number, each in enumerate(gone)]
    moves += [("add", str(number), each) for number, each in enumerate(kept)]
    chance.shuffle(moves)
    for _, id, each in moves:
        other.add(id, each)
    for number in chance.sample(range(len(gone)), len(gone)):
        other.remove(f"g{number}", gone[number])
    assert {key: other.groups(key) for key in other} == {key: counts.groups(key) for key in counts}
    assert {key: other.at_end(key) for key in other} == {key: counts.at_end(key) for key in counts}
    policy = MiningPolicy(least_support=1)
    assert mine(other, NOW, policy) == mine(counts, NOW, policy)
    assert other.episodes == counts.episodes


@pytest.mark.requirement("LE-08")
def test_evidence_never_names_an_episode_that_was_removed() -> None:
    traces = [trace(["a", "b"], ended_at=NOW + number) for number in range(12)]
    counts = counted(traces)
    for number in range(12):
        counts.remove(str(number), traces[number])
        left = {str(other) for other in range(number + 1, 12)}
        assert set(counts.evidence(("sequence", "a", "b"))) <= left


@pytest.mark.requirement("LE-06")
def test_patterns_that_say_the_same_become_one_whatever_their_order() -> None:
    counts = counted(planted(random.Random(5), 200))
    patterns = mine(counts, NOW, MiningPolicy())
    there, back = fuse(patterns, counts), fuse(patterns[::-1], counts)
    assert there == back
    assert fuse([*patterns, *patterns], counts) == there
    assert len(there) < len(patterns)
    hybrid = next(each for each in there if each.strategy == "hybrid")
    assert hybrid.merged
    named = [each.signature for each in there] + [one for each in there for one in each.merged]
    assert sorted(named) == sorted(each.signature for each in patterns)


@pytest.mark.requirement("LE-05")
def test_when_the_truth_turns_the_heuristic_turns_and_the_stale_one_is_pruned() -> None:
    chance = random.Random(6)

    def stream(good: str, bad: str, first_day: int) -> list[Trace]:
        return [
            trace(
                ["start", tool, "end"],
                "success" if chance.random() < (0.9 if tool == good else 0.2) else "failure",
                ended_at=first_day * DAY + number,
            )
            for number in range(60)
            for tool in (good, bad)
        ]

    policy = MiningPolicy(half_life_days=60)
    early = stream("left", "right", 10_000)
    before = heuristics(mine(counted(early), 10_030 * DAY, policy), (), 10_030 * DAY)
    told = {each.text: each.polarity for each in before}
    assert told["after start worked: left"] == "do"
    late = [*early, *stream("right", "left", 10_400)]
    after = heuristics(mine(counted(late), 10_430 * DAY, policy), before, 10_430 * DAY)
    told = {each.text: each.polarity for each in after}
    assert told["after start worked: right"] == "do"
    assert told["avoid: after start worked: left"] == "avoid"
    turned = next(each for each in after if each.text == "avoid: after start worked: left")
    assert [turn.change for turn in turned.history] == ["adopted", "turned round"]
    assert all(each.history[-1].change == "pruned" for each in retired(before, after, 1))


@pytest.mark.requirement("LE-05")
def test_what_suits_one_kind_of_task_and_not_another_is_told_of_each() -> None:
    chance = random.Random(8)
    found = []
    for number in range(240):
        kind, tool = ("tidy", "sweep") if number % 2 else ("bake", "sweep")
        used = number % 4 < 2
        rate = (0.9 if kind == "tidy" else 0.2) if used else 0.5
        outcome = "success" if chance.random() < rate else "failure"
        found.append(trace(["start", tool if used else "wait", "end"], outcome, task_type=kind))
    told = {each.text: each.polarity for each in heuristics(mine(counted(found), NOW, MiningPolicy()), (), NOW)}
    assert told["when type is tidy: use sweep"] == "do"
    assert told["avoid: when type is bake: use sweep"] == "avoid"
    assert "use sweep" not in told
    assert "avoid: use sweep" not in told


@pytest.mark.requirement("LE-08")
def test_attempts_at_one_task_are_known_by_its_id_or_else_by_its_description() -> None:
    one, other = trace(["a"], description="Buy a cup", metadata={"task_id": 7}), trace(["a"], metadata={"task_id": 7})
    assert one.task == other.task
    assert trace(["a"], metadata={"task_id": 8}).task != one.task
    assert trace(["a"], description="Buy a cup").task == trace(["b"], description="Buy a cup").task
    assert trace(["a"], description="Buy a cup").task != trace(["a"], description="Buy a pot").task


@pytest.mark.requirement("LE-08")
def test_a_lesson_of_a_version_that_did_not_tell_tasks_apart_is_still_read() -> None:
    body = msgspec.msgpack.encode(trace(["a", "b"]))
    old = msgspec.msgpack.encode(msgspec.msgpack.decode(body)[:-1])
    read = msgspec.msgpack.decode(old, type=Trace)
    assert read == replace(trace(["a", "b"]), task=b"")
    assert list(counted([read, read]).groups(("sequence", "a", "b"))) == [(("", ""), b"")]


@pytest.mark.requirement("LE-12")
def test_a_trace_is_bounded_and_its_sequences_grow_with_its_length_only() -> None:
    chance = random.Random(7)
    long = trace(chance.choices(TOOLS, k=1_500))
    assert len(long.calls) == LONGEST_TRACE
    assert len(subsequences([each.tool for each in long.calls])) <= 60 * LONGEST_TRACE


def test_an_open_episode_teaches_nothing() -> None:
    from tacit.learning.lessons.trace import trace_of

    assert trace_of(replace(attempt(["a"]), outcome=None)) is None


def tried(tasks: int, attempts: int, *, alike: bool, seed: int = 5) -> list[Trace]:
    """Attempts at tasks, each of which ends as its task always ends, or as chance has it."""
    chance, found = random.Random(seed), []
    for number in range(tasks):
        fate = number % 2 == 0
        for _ in range(attempts):
            well = fate if alike else chance.random() < 0.5
            outcome = "success" if well else "failure"
            found.append(trace(["look", "act"], outcome, description=f"task {number}"))
    return found


@pytest.mark.requirement("LE-01")
@pytest.mark.parametrize(("alike", "least", "most"), [(True, 0.99, 1.0), (False, 0.0, 0.1)])
def test_how_far_attempts_at_a_task_end_alike_is_read_from_the_counts(alike: bool, least: float, most: float) -> None:
    counts = counted(tried(60, 5, alike=alike))
    assert least <= likeness_of_attempts(counts.groups(ANY)) <= most
    assert attempts_in(counts.groups(ANY)) == [5] * 60


@pytest.mark.requirement("LE-01")
def test_forty_attempts_at_four_tasks_that_end_alike_say_no_more_than_four_tasks() -> None:
    assert design_effect([10] * 4, 1.0) == pytest.approx(10)
    assert design_effect([10] * 4, 0.0) == design_effect([1] * 40, 1.0) == 1
    few, many = (found_in(tried(tasks, 40 // tasks, alike=True))["look → act"].posterior for tasks in (4, 40))
    assert few.high - few.low > 0.5
    assert many.high - many.low < 0.32


@pytest.mark.requirement("LE-08", "LE-01")
def test_what_attempts_count_for_is_the_same_however_they_came_and_went() -> None:
    kept, gone = tried(10, 4, alike=True), tried(10, 7, alike=True, seed=6)
    counts = counted(kept)
    for number, each in enumerate(gone):
        counts.add(f"gone {number}", each)
    for number, each in enumerate(gone):
        counts.remove(f"gone {number}", each)
    assert mine(counts, NOW, MiningPolicy()) == mine(counted(kept), NOW, MiningPolicy())
