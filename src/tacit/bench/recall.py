"""How well is recalled: collections with known answers, each remembered by a mind of its own, beside plain baselines
over the same terms and vectors.

With --data LoCoMo's conversations and Cranfield, which nothing is tuned on; always the generated collections of other
shapes: a diary of two people, an assistant's long answers, a few notes, many users in one mind, other languages.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from tacit.bench.recall_data import CRANFIELD, LOCOMO, Collection, Item, read_cranfield, read_locomo
from tacit.bench.recall_made import made_collections
from tacit.bench.recall_metrics import difference_interval, mean_interval, ndcg_at, recall_at
from tacit.bench.recall_trial import Judged, K, Trial
from tacit.bench.run import Run
from tacit.clock import ManualClock
from tacit.errors import NotFound
from tacit.stores.terms import terms_of

if TYPE_CHECKING:
    from tacit.mind import Mind
    from tacit.recall.embedder import TextEmbedder

_DAY = 86_400 * 1_000_000
_SETTLE_SECONDS = 1_800
_BASELINES = ("words", "meaning", "fusion", "blend")
_MEASURES = ("recall_5", "recall_10", "ndcg_10")


def measure(run: Run) -> None:
    """``run.size`` is how many seeds the generated collections are made from."""
    from tacit.opening import shared_embedder

    embedder = shared_embedder("minilm")
    assert embedder is not None
    found = [*_real(run), *_made(run)]
    for name, group in groupby(found, key=lambda pair: pair[0]):
        _measure_group(run, name, [collection for _, collection in group], embedder)


def _real(run: Run) -> Iterator[tuple[str, Collection]]:
    if run.data is None:
        return
    files = sorted((run.data / LOCOMO).glob("*.json"))
    if not files:
        raise NotFound(f"there are no conversations in {run.data / LOCOMO}", path=str(run.data / LOCOMO))
    for conversation in (one for file in files for one in read_locomo(file)):
        yield "locomo", conversation
    yield "cranfield", read_cranfield(run.data / CRANFIELD)


def _made(run: Run) -> Iterator[tuple[str, Collection]]:
    made = [(one.name, one) for seed in range(run.size) for one in made_collections(seed)]
    yield from ((f"made_{name}".replace("-", "_").replace(" ", "_"), one) for name, one in sorted(made, key=_name))


def _name(pair: tuple[str, Collection]) -> str:
    return pair[0]


def _measure_group(run: Run, name: str, collections: Sequence[Collection], embedder: TextEmbedder) -> None:
    """Collections of one shape, whose questions are put together."""
    ours: list[Judged] = []
    by_words: list[Judged] = []
    theirs: dict[str, list[Judged]] = {baseline: [] for baseline in _BASELINES}
    for number, collection in enumerate(collections):
        default, lexical = _recalled(run, f"{name}-{number}", collection)
        ours += default
        by_words += lexical
        trial = Trial(collection, terms_of, embedder.embed)
        for baseline in _BASELINES:
            theirs[baseline] += trial.judge(getattr(trial, baseline))
    run.figure(f"recall_{name}_memories", sum(len(one.items) for one in collections), "memories")
    run.figure(f"recall_{name}_questions", len(ours), "questions")
    dropped = sum(one.dropped for one in collections)
    if dropped or any(one.repaired for one in collections):
        run.figure(f"recall_{name}_evidence_repaired", sum(one.repaired for one in collections), "ids")
        run.figure(f"recall_{name}_evidence_dropped", dropped, "ids")
    for measured in _MEASURES:
        values = [getattr(one, measured) for one in ours]
        run.interval(f"recall_{name}_{measured}", mean_interval(values))
        run.figure(f"recall_{name}_lexical_{measured}", _mean(by_words, measured), "")
        for baseline, judged in theirs.items():
            run.figure(f"recall_{name}_{baseline}_{measured}", _mean(judged, measured), "")
        best = max(theirs.values(), key=lambda judged: _mean(judged, measured))
        gain = difference_interval(values, [getattr(one, measured) for one in best])
        run.interval(f"recall_{name}_{measured}_over_best", gain)
    for category in sorted({one.category for one in ours if one.category}):
        some = [one.recall_10 for one in ours if one.category == category]
        run.interval(f"recall_{name}_{category.replace('-', '_').replace(' ', '_')}_recall_10", mean_interval(some))


def _mean(judged: Sequence[Judged], measured: str) -> float:
    return float(sum(getattr(one, measured) for one in judged) / len(judged))


def _recalled(run: Run, name: str, collection: Collection) -> tuple[list[Judged], list[Judged]]:
    """How a mind that was told the collection answers, by the default recipe and by words alone."""
    with _mind_of(run.folder / f"{name}.db", collection) as mind:
        mind.remember_many(_said(item) for item in collection.items if item.text.strip())
        mind.settle(_SETTLE_SECONDS)
        return _answers(run, mind, collection, "default"), _answers(run, mind, collection, "lexical")


def _mind_of(path: Path, collection: Collection) -> Mind:
    from tacit.opening import open_mind_alone
    from tacit.ops.settings import load

    now = max((item.occurred_at or 0 for item in collection.items), default=0) + _DAY
    settings = load({"learning.embedder": "minilm"}, environ={}).settings
    return open_mind_alone(path, mind="bench", settings=settings, clock=ManualClock(max(now, _DAY)))


def _said(item: Item) -> dict[str, object]:
    when = None if item.occurred_at is None else datetime.fromtimestamp(item.occurred_at / 1e6, UTC)
    return {
        "text": item.text,
        "kind": item.kind,
        "user": item.user,
        "session": item.session,
        "speaker": item.speaker,
        "source_id": item.id,
        "occurred_at": when,
    }


def _answers(run: Run, mind: Mind, collection: Collection, recipe: str) -> list[Judged]:
    judged, spent = [], []
    for question in collection.questions:
        start = time.perf_counter()
        hits = mind.recall(question.text, k=K, recipe=recipe)
        spent.append(time.perf_counter() - start)
        found = [hit.source_id for hit in hits]
        few, more = (recall_at(found, question.relevant, k) for k in (5, K))
        judged.append(Judged(question.category, few, more, ndcg_at(found, question.relevant, K)))
    run.timing(f"recall_{recipe}", spent)
    return judged
