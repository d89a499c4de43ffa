"""Collections with known answers, how rankings of them are judged, and that the default recipe serves every shape."""

from __future__ import annotations

import json
import re
from functools import cache
from math import log2
from pathlib import Path

import numpy
import pytest

from tacit.bench.recall_data import Collection, Item, Question, read_cranfield, read_locomo
from tacit.bench.recall_made import made_assistant, made_collections, made_crowd, made_diary, made_notes, made_tongue
from tacit.bench.recall_metrics import difference_interval, mean_interval, ndcg_at, recall_at
from tacit.bench.recall_trial import Judged, Trial
from tacit.errors import InvalidInput
from tacit.models.minilm import MiniLM
from tacit.recall.recipe import DEFAULT

pytestmark = pytest.mark.requirement("RE-02")


def test_recall_and_gain_are_those_of_their_definitions() -> None:
    ranked = ["a", "b", "c", "d"]
    assert recall_at(ranked, {"a", "d", "x"}, 4) == pytest.approx(2 / 3)
    assert recall_at(ranked, {"d"}, 3) == 0.0
    assert ndcg_at(ranked, {"a", "b"}, 4) == 1.0
    assert ndcg_at(ranked, {"c"}, 4) == pytest.approx(1 / log2(4))
    assert ndcg_at(ranked, set("abcdefgh"), 4) == 1.0
    with pytest.raises(ValueError, match="relevant"):
        recall_at(ranked, (), 3)
    with pytest.raises(ValueError, match="relevant"):
        ndcg_at(ranked, (), 3)


def test_an_interval_of_differences_is_about_pairs() -> None:
    ours = [0.1 * (number % 10) + 0.05 for number in range(200)]
    theirs = [0.1 * (number % 10) for number in range(200)]
    apart, level = difference_interval(ours, theirs), mean_interval(ours)
    assert apart.low == pytest.approx(0.05) == apart.high
    assert level.low < level.value < level.high
    assert level.high - level.low > 0.05
    with pytest.raises(ValueError, match="no mean"):
        mean_interval([])
    with pytest.raises(ValueError, match="shorter"):
        difference_interval([1.0, 2.0], [1.0])


def a_conversation() -> dict[str, object]:
    return {
        "sample_id": "one",
        "conversation": {
            "speaker_a": "Alma",
            "session_10_date_time": "1:56 pm on 8 May, 2023",
            "session_10": [{"speaker": "Alma", "dia_id": "D10:1", "text": "Look!", "blip_caption": "a red boat"}],
            "session_2_date_time": "9:05 am on 1 May, 2023",
            "session_2": [{"speaker": "Bruno", "dia_id": f"D2:{turn}", "text": f"turn {turn}"} for turn in (1, 2, 3)],
        },
        "qa": [
            {"question": "What boat?", "evidence": ["D10:1"], "category": 4},
            {"question": "Which turns?", "evidence": ["D2:1; D2:2", "D:2:03", "D2:99", "D"], "category": 1},
            {"question": "Nothing?", "evidence": ["D7:7"], "category": 3},
            {"question": "A trap?", "evidence": ["D2:1"], "category": 5},
        ],
    }


def test_conversations_are_read_with_their_captions_times_and_mended_evidence(tmp_path: Path) -> None:
    path = tmp_path / "chats.json"
    path.write_text(json.dumps([a_conversation()]))
    (read,) = read_locomo(path)
    assert [item.id for item in read.items] == ["D2:1", "D2:2", "D2:3", "D10:1"]
    assert read.items[3].text == "Look! [a red boat]"
    assert read.items[3].speaker == "Alma"
    assert read.items[3].occurred_at == 1_683_554_160_000_000
    assert [question.relevant for question in read.questions] == [{"D10:1"}, {"D2:1", "D2:2", "D2:3"}]
    assert [question.category for question in read.questions] == ["single-hop", "multi-hop"]
    assert (read.repaired, read.dropped, read.unanswered) == (3, 3, 1)
    path.write_text('{"an": "object"}')
    with pytest.raises(InvalidInput, match="shape"):
        read_locomo(path)


def test_abstracts_are_read_with_queries_numbered_by_their_place(tmp_path: Path) -> None:
    entries = "".join(f".I {number}\n.T\ntitle {number}\n.A\nsomebody\n.W\ntext of\n{number}\n" for number in (1, 2))
    (tmp_path / "cran.all.1400").write_text(entries)
    (tmp_path / "cran.qry").write_text(".I 007\n.W\nfirst query .\n.I 010\n.W\nsecond query .\n")
    (tmp_path / "cranqrel").write_text("2 1 2\n2 9 3\n1 2 1\n")
    read = read_cranfield(tmp_path)
    assert [item.text for item in read.items] == ["title 1 text of 1", "title 2 text of 2"]
    assert [(one.text, one.relevant) for one in read.questions] == [("first query .", {"2"}), ("second query .", {"1"})]
    (tmp_path / "cranqrel").write_text("nonsense\n")
    with pytest.raises(InvalidInput, match="shape"):
        read_cranfield(tmp_path)


def test_a_generated_collection_is_that_of_its_seed_and_answers_its_questions() -> None:
    assert made_collections(3) == made_collections(3)
    assert made_diary(3) != made_diary(4)
    for collection in made_collections(1):
        ids = [item.id for item in collection.items]
        assert len(set(ids)) == len(ids)
        assert collection.questions
        assert all(question.relevant and question.relevant <= set(ids) for question in collection.questions)
        assert not any(re.search(r"[{}]", item.text) for item in (*collection.items, *collection.questions))


def terms_of(text: str) -> list[str]:
    """Words without their commonest endings; languages without spaces in pairs of letters."""
    words = re.findall(r"[぀-ヿ一-鿿]+|\w+", text.casefold())
    pairs = [word[at : at + 2] for word in words if word[0] >= "぀" for at in range(max(1, len(word) - 1))]
    return [re.sub(r"(?<=\w{3})(?:ing|ed|es|s)$", "", word) for word in words if word[0] < "぀"] + pairs


@cache
def embedder() -> MiniLM:
    return MiniLM()


def mean_of(judged: list[Judged], figure: str) -> float:
    return sum(getattr(one, figure) for one in judged) / len(judged)


@pytest.mark.parametrize(
    "collection",
    [
        made_diary(21, 12),
        made_assistant(21, 25),
        made_notes(21),
        made_crowd(21, 40),
        made_tongue("Chinese", 21),
        made_tongue("Arabic", 21),
    ],
    ids=lambda collection: collection.name,
)
def test_the_default_recipe_is_no_worse_than_the_best_baseline_on_any_shape(collection: Collection) -> None:
    trial = Trial(collection, terms_of, embedder().embed)
    ours = trial.judge_recipe(DEFAULT)
    baselines = [trial.judge(score) for score in (trial.words, trial.meaning, trial.fusion, trial.blend)]
    best = max(mean_of(judged, "recall_10") for judged in baselines)
    assert mean_of(ours, "recall_10") >= best - 0.01


@pytest.mark.requirement("RE-06")
def test_without_vectors_recall_is_as_good_as_words_alone() -> None:
    trial = Trial(made_diary(22, 12), terms_of, embedder().embed)
    ours = mean_of(trial.judge_recipe(DEFAULT, embedded=False), "recall_10")
    assert ours >= mean_of(trial.judge(trial.words), "recall_10")


def test_a_trial_finds_what_only_one_item_says() -> None:
    items = tuple(Item(id=f"i{number}", text=f"number {number} is odd") for number in range(30))
    lamp = Item(id="lamp", text="the lamp in the attic is broken", occurred_at=None)
    question = Question(text="Where is the broken lamp?", relevant=frozenset({"lamp"}))
    trial = Trial(Collection(name="x", items=(*items, lamp), questions=(question,)), terms_of, embedder().embed)
    for score in (trial.words, trial.meaning, trial.fusion, trial.blend):
        assert int(numpy.argmax(score(0))) == len(items)
    assert trial.judge_recipe(DEFAULT) == [Judged("", 1.0, 1.0, 1.0)]
