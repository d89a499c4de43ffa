"""Which tool suits a task: what is planted is found, names mean nothing, a ranker is its examples and nothing else."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tacit.errors import InvalidInput
from tacit.learning.ranking.ranker import Described, Example, ToolRanker
from trials import open_mind

SUBJECTS = {
    "tool_a": "flight ticket airport airline boarding seat luggage",
    "tool_b": "recipe oven flour butter sugar dinner soup",
    "tool_c": "song guitar melody album concert singer drum",
    "tool_d": "invoice tax payment bank salary budget loan",
}


def asked(rng: random.Random, tool: str) -> str:
    words = rng.sample(SUBJECTS[tool].split(), 3)
    return " ".join(["please", *words, rng.choice(["today", "soon", "now"]), str(rng.randrange(100))])


def examples(many: int, seed: int = 1) -> list[Example]:
    rng = random.Random(seed)
    chosen = [rng.choice(sorted(SUBJECTS)) for _ in range(many)]
    return [Example(asked(rng, tool), (tool,), True) for tool in chosen]


def hits(ranker: ToolRanker, fresh: list[Example]) -> float:
    return sum(ranker.rank(each.text)[0][0] == each.tools[0] for each in fresh) / len(fresh)


@pytest.mark.requirement("LE-11")
@pytest.mark.parametrize("many", [40, 200])
def test_it_learns_from_words_alone_which_tool_suits(many: int) -> None:
    assert hits(ToolRanker.fit(examples(many)), examples(100, seed=2)) > 0.9


@pytest.mark.requirement("LE-11")
def test_its_chances_mean_what_they_say() -> None:
    rng = random.Random(3)

    def doubtful(many: int) -> list[Example]:
        """The words say which of two tools it is in seven of ten cases."""
        found = []
        for _ in range(many):
            tool = rng.choice(["tool_a", "tool_b"])
            other = {"tool_a": "tool_b", "tool_b": "tool_a"}[tool]
            found.append(Example(asked(rng, tool), (tool if rng.random() < 0.7 else other,), True))
        return found

    ranker = ToolRanker.fit(doubtful(400))
    surest = [ranker.rank(each.text)[0][1] for each in doubtful(100)]
    assert sum(surest) / len(surest) == pytest.approx(0.7, abs=0.12)


@pytest.mark.requirement("LE-12")
def test_names_of_tools_mean_nothing() -> None:
    names = {"tool_a": "zz9", "tool_b": "aa1", "tool_c": "oven", "tool_d": "guitar"}
    plain = examples(150)
    renamed = [each._replace(tools=tuple(names[tool] for tool in each.tools)) for each in plain]
    one, other = ToolRanker.fit(plain), ToolRanker.fit(renamed)
    for each in examples(20, seed=4):
        assert [(names[tool], chance) for tool, chance in one.rank(each.text)] == other.rank(each.text)


@pytest.mark.requirement("LE-09")
def test_a_tool_that_was_never_used_is_found_by_its_description() -> None:
    ranker = ToolRanker.fit([each for each in examples(120) if each.tools != ("tool_d",)])
    told = [Described(tool, f"works with {words}") for tool, words in SUBJECTS.items()]
    rng = random.Random(5)
    found = [ranker.rank(asked(rng, "tool_d"), tools=told)[0][0] for _ in range(20)]
    assert found.count("tool_d") >= 15
    known = [ranker.rank(asked(rng, "tool_b"), tools=told)[0][0] for _ in range(20)]
    assert known.count("tool_b") >= 18


@pytest.mark.requirement("LE-09")
def test_only_tools_at_hand_are_ranked_and_their_chances_sum_to_one() -> None:
    ranked = ToolRanker.fit(examples(120)).rank(
        "please flight seat", tools=[Described("tool_b"), Described("tool_c"), Described("unheard_of")]
    )
    assert {tool for tool, _ in ranked} == {"tool_b", "tool_c"}
    assert sum(chance for _, chance in ranked) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.requirement("LE-09")
def test_an_episode_that_failed_counts_for_less() -> None:
    told = [
        Example("repair the bicycle chain", ("wrong",), False),
        Example("repair the bicycle chain", ("right",), True),
    ]
    assert ToolRanker.fit(told * 5).rank("repair the bicycle chain")[0][0] == "right"


@pytest.mark.requirement("LE-09")
def test_an_episode_teaches_every_tool_that_it_used() -> None:
    both = [Example(f"plan trip {number}", ("search", "book"), True) for number in range(30)]
    ranked = dict(ToolRanker.fit([*both, *examples(60)]).rank("plan trip 99"))
    assert ranked["search"] + ranked["book"] > 0.8
    assert ranked["search"] == pytest.approx(ranked["book"], abs=0.2)


@pytest.mark.requirement("LE-09")
@pytest.mark.parametrize("many", [0, 1, 5])
def test_little_is_enough_not_to_fail(many: int) -> None:
    ranker = ToolRanker.fit(examples(many))
    ranked = ToolRanker.from_bytes(ranker.to_bytes()).rank("please flight ticket")
    assert len(ranked) == len(ranker.tools) <= many
    assert all(0 <= chance <= 1 for _, chance in ranked)


@pytest.mark.requirement("LE-09")
def test_a_single_tool_and_odd_texts_do_no_harm() -> None:
    ranker = ToolRanker.fit(
        [Example(text, ("only",), True) for text in ("", "\0", "a" * 50_000, "…", "\ud800", "🙂") * 30]
    )
    assert [tool for tool, _ in ranker.rank("")] == ["only"]
    assert ToolRanker.fit([Example("nothing was used", (), True)]).rank("nothing") == []


@pytest.mark.requirement("LE-09")
def test_other_scripts_are_read() -> None:
    told = {
        "weather": ["明天北京的天气怎么样", "今天上海天气如何", "какая погода в Москве", "погода завтра в Казани"],
        "train": ["预订去广州的火车票", "买一张火车票", "купи билет на поезд", "билеты на поезд в Сочи"],
    }
    ranker = ToolRanker.fit([Example(text, (tool,), True) for tool, texts in told.items() for text in texts * 2])
    assert ranker.rank("后天广州的天气")[0][0] == "weather"
    assert ranker.rank("билет на поезд в Омск")[0][0] == "train"


@pytest.mark.requirement("LE-09")
def test_vectors_say_what_words_do_not() -> None:
    import numpy

    rng = random.Random(6)

    def case(tool: str) -> Example:
        vector = numpy.array([tool == "up", tool == "down", 1.0], dtype=numpy.float32)
        return Example(f"{rng.random()}", (tool,), True, vector / numpy.linalg.norm(vector))

    ranker = ToolRanker.fit([case(rng.choice(["up", "down"])) for _ in range(60)], "some model")
    assert ranker.model == "some model"
    fresh = [case("up"), case("down")]
    assert [ranker.rank(each.text, each.vector)[0][0] for each in fresh] == ["up", "down"]
    assert len(ranker.rank("no vector at hand")) == 2


@pytest.mark.requirement("LE-09")
def test_a_ranker_can_be_kept_as_bytes() -> None:
    ranker = ToolRanker.fit(examples(150))
    body = ranker.to_bytes()
    assert len(body) < 1_500_000
    again = ToolRanker.from_bytes(body)
    assert again.rank("please flight seat") == ranker.rank("please flight seat")


@pytest.mark.requirement("LE-09")
def test_bytes_that_are_no_ranker_are_refused() -> None:
    with pytest.raises(InvalidInput, match="fit it again"):
        ToolRanker.from_bytes(b"\xc1 nothing")
    kept = msgspec.msgpack.decode(ToolRanker.fit(examples(5)).to_bytes())
    with pytest.raises(InvalidInput, match="format 99"):
        ToolRanker.from_bytes(msgspec.msgpack.encode({**kept, "format": 99}))
    with pytest.raises(InvalidInput, match="fit it again"):
        ToolRanker.from_bytes(msgspec.msgpack.encode({**kept, "spread": b"not compressed"}))
    with pytest.raises(InvalidInput, match="fit it again"):
        ToolRanker.from_bytes(msgspec.msgpack.encode({**kept, "discriminant": []}))


@pytest.mark.requirement("LE-09")
def test_another_process_learns_the_same() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_tool_ranker import examples, ToolRanker\n"
        "import zlib; print(zlib.crc32(ToolRanker.fit(examples(150)).to_bytes()))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", code, str(Path(__file__).parent)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told[0] == told[1] != ""


@pytest.mark.requirement("LE-09")
def test_advice_names_the_tool_that_suits_and_the_episodes_it_rests_on(tmp_path: Path) -> None:
    with open_mind(tmp_path / "a.db") as mind:
        ids: dict[str, set[str]] = {}
        for each in examples(60):
            with mind.episode(each.text) as episode:
                episode.step(tool=each.tools[0], observation="done", success=True)
                episode.complete("success")
            ids.setdefault(each.tools[0], set()).add(episode.id)
        mind.settle(120)
        first = mind.advise("please butter flour dinner soon").tools[0]
        assert first.name == "tool_b"
        assert first.score > 0.5
        assert first.evidence
        assert {each.event_id for each in first.evidence} <= ids["tool_b"]
        never = {"name": "tool_z", "description": "repairs a bicycle: chain, wheel, brake and tyre of the bicycle"}
        at_hand = [*({"name": tool, "description": words} for tool, words in SUBJECTS.items()), never]
        found = mind.advise("the chain and the brake of my bicycle", tools=at_hand).tools
        assert found[0].name == "tool_z"
        assert "never used" in found[0].why
        assert {each.name for each in mind.advise("please flight seat", tools=["tool_b", "tool_c"]).tools} <= {
            "tool_b",
            "tool_c",
        }
