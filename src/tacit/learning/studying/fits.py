"""Fits: what was fitted to the newest finished episodes, so that chances, next steps and their actions can be told.

A fit is a cache, a pure function of the episodes up to one position. It is kept with the position, so that a view of
the past answers with what was fitted then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import bindparam, delete, select

from tacit import heap
from tacit.experience.episode import Episode
from tacit.learning.advising.advisor import Models
from tacit.learning.fitting.giving_up import Check, checked, go_on
from tacit.learning.fitting.reading import read_episodes
from tacit.learning.next_step.model import NextStepModel
from tacit.learning.pointing.actions import ActionModel
from tacit.learning.ranking.ranker import ToolRanker
from tacit.learning.success.model import SuccessModel
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

VERSION = 4
"""Of the models' form; an older fit is not read, and soon replaced."""
FIT_EPISODES = 1_000
"""The newest finished episodes that models are fitted to."""
GROWTH = 1.1
"""Older fits are kept for reading the past, each to a tenth more episodes than the one before."""

_fit = schema.fit
_newest = (
    select(_fit.c.position, _fit.c.episodes, _fit.c.body)
    .where(_fit.c.mind == bindparam("mind"), _fit.c.position <= bindparam("position"))
    .order_by(_fit.c.position.desc())
    .limit(1)
)
_head = _newest.with_only_columns(_fit.c.position, _fit.c.episodes)
_kept = (
    select(_fit.c.position, _fit.c.episodes)
    .where(_fit.c.mind == bindparam("mind"))
    .order_by(_fit.c.position.desc())
    .limit(2)
)
_drop = delete(_fit).where(_fit.c.mind == bindparam("of"), _fit.c.position == bindparam("which"))
_drop_from = delete(_fit).where(_fit.c.mind == bindparam("of"), _fit.c.position >= bindparam("first"))


class Fit(msgspec.Struct, frozen=True, array_like=True):
    """Fitted models, as bytes, and how many finished episodes there were."""

    version: int
    episodes: int
    success: bytes
    next_step: bytes
    actions: bytes
    tools: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Fit).decode


def fit_to(episodes: Sequence[Episode], ranker: Callable[[], ToolRanker], known: int, check: Check = go_on) -> Fit:
    """Models fitted to these episodes, oldest first.

    Args:
        ranker: fits the ranker of tools, which learns from more episodes, but sees less of each; asked for last.
        known: how many finished episodes there are in all.
        check: is called again and again, and raises when it is to be given up.
    """
    readings = read_episodes(checked(episodes, check))
    success = SuccessModel.learn(readings, check).to_bytes()
    next_step = NextStepModel.learn(readings, check=check).to_bytes()
    del readings  # before the next model takes its share of memory
    actions = ActionModel.fit(episodes, check).to_bytes()
    heap.release()
    return Fit(VERSION, known, success, next_step, actions, ranker().to_bytes())


def models_of(fit: Fit) -> Models:
    """The models, ready to answer."""
    return Models(
        SuccessModel.from_bytes(fit.success),
        NextStepModel.from_bytes(fit.next_step),
        ActionModel.from_bytes(fit.actions),
        ToolRanker.from_bytes(fit.tools),
    )


def fit_head(snapshot: Snapshot, mind: bytes, position: int) -> tuple[int, int]:
    """The position of the newest fit up to a position, and how many episodes there were; zeros without one."""
    row = snapshot.row(_head, mind=mind, position=position)
    return (int(row[0]), int(row[1])) if row else (0, 0)


def read_fit(snapshot: Snapshot, mind: bytes, position: int) -> Fit | None:
    """The newest fit up to a position; None when there is none that can be read."""
    row = snapshot.row(_newest, mind=mind, position=position)
    if row is None:
        return None
    try:
        found = _decode(bytes(row[2]))
    except msgspec.ValidationError:
        return None
    return found if found.version == VERSION else None


def write_fit(transaction: Transaction, mind: bytes, position: int, fit: Fit) -> None:
    """Keep a fit, and let go of the one before unless it is a milestone."""
    kept = transaction.rows(_kept, mind=mind)
    if kept and kept[0][0] == position:
        transaction.execute(_drop, of=mind, which=position)
        kept = kept[1:]
    if len(kept) == 2 and kept[0][1] < GROWTH * kept[1][1]:
        transaction.execute(_drop, of=mind, which=kept[0][0])
    transaction.insert(_fit, ((mind, position, fit.episodes, _encode(fit)),))


def forget_fits(transaction: Transaction, mind: bytes, first: int) -> int:
    """Remove every fit that may know of the event at ``first``; they are made anew. Erasing calls this."""
    return transaction.execute(_drop_from, of=mind, first=first)
