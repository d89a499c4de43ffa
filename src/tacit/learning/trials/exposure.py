"""Exposures: what was advised, what was held back for control, and how it turned out (LE-10).

An exposure is an event; its draws and its outcome are views. The outcome comes from the episode that was begun with
it, or from feedback; what comes first counts.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import and_, bindparam, func, select, update

from tacit.errors import Conflict, NotFound
from tacit.experience import kinds
from tacit.experience.expiring import position_of
from tacit.experience.views import NOW
from tacit.ids import format_id, parse_id
from tacit.journal.event import Event
from tacit.journal.expiring import EPISODE_EXPIRED
from tacit.learning.trials.trial import Draw, judge
from tacit.stores import schema
from tacit.stores.port import Snapshot, Transaction

CHANCE_UNIT = 1_000_000
"""Chances are kept in millionths."""

_exposure, _draw, _demotion, _step = schema.exposure, schema.draw, schema.demotion, schema.step
_by_id = select(_exposure.c.outcome, _exposure.c.episode).where(
    _exposure.c.mind == bindparam("mind"), _exposure.c.id == bindparam("id")
)
_by_episode = select(
    _exposure.c.id
).where(  # nothing else, or SQLite reads all exposures of the mind instead of the index
    _exposure.c.mind == bindparam("mind"), _exposure.c.episode == bindparam("episode")
)
_begin = (
    update(_exposure)
    .where(_exposure.c.mind == bindparam("of"), _exposure.c.id == bindparam("which"), _exposure.c.episode.is_(None))
    .values(episode=bindparam("by"))
)
_judge = (
    update(_exposure)
    .where(_exposure.c.mind == bindparam("of"), _exposure.c.id == bindparam("which"), _exposure.c.outcome.is_(None))
    .values(outcome=bindparam("turned_out"), judged_at=bindparam("at"))
)
_steps = (
    select(func.count())
    .select_from(_step)
    .where(_step.c.mind == _exposure.c.mind, _step.c.episode == _exposure.c.episode)
    .scalar_subquery()
)
_draws = (
    select(_draw.c.shown, _draw.c.chance, _exposure.c.outcome, _exposure.c.episode.is_not(None), _steps)
    .select_from(_draw.join(_exposure, and_(_exposure.c.mind == _draw.c.mind, _exposure.c.id == _draw.c.exposure)))
    .where(
        _draw.c.mind == bindparam("mind"),
        _draw.c.item == bindparam("item"),
        _exposure.c.outcome.is_not(None),
        _exposure.c.judged_at <= bindparam("position"),
    )
    .order_by(_exposure.c.judged_at, _exposure.c.id)
)
_drawn = (
    select(func.count()).select_from(_draw).where(_draw.c.mind == bindparam("mind"), _draw.c.item == bindparam("item"))
)
_items = select(_draw.c.item).where(_draw.c.mind == bindparam("mind")).distinct().order_by(_draw.c.item)
_held_back = select(_draw.c.item).where(_draw.c.mind == bindparam("mind"), _draw.c.shown == 0).distinct()
_judged = (
    select(_exposure.c.id)
    .where(
        _exposure.c.mind == bindparam("mind"),
        _exposure.c.judged_at > bindparam("after"),
        _exposure.c.judged_at <= bindparam("position"),
    )
    .limit(1)
)
_demoted = select(_demotion.c.item).where(
    _demotion.c.mind == bindparam("mind"), _demotion.c.position <= bindparam("position")
)


class Withholding(msgspec.Struct, frozen=True, kw_only=True):
    """How much advice is held back for control; see the settings ``advice.withhold.*``. Nothing, unless asked for."""

    share: float = 0.0
    """Of the first exposures of a piece of advice, from 0 to 0.9."""
    floor: float = 0.05
    """What the share falls to."""
    half_after: int = 50
    """Exposures after which the share is half way to the floor."""

    def share_after(self, exposures: int) -> float:
        """The share to hold back after so many exposures; 0 when nothing is to be held back at all."""
        if self.share <= 0:
            return 0.0
        floor = min(self.floor, self.share)
        return float(floor + (self.share - floor) * 0.5 ** (exposures / self.half_after))


class Lot(msgspec.Struct, frozen=True):
    """What the lot said of one piece of advice: whether it is shown, and with what chance it would have been."""

    item: str
    shown: bool
    chance: float


def draw(secret: bytes, task: str, key: str, item: str, share: float) -> Lot:
    """Draw the lot for a piece of advice. The same task and key always draw the same number, so a retry cannot roll
    again."""
    message = b"\0".join((task.encode("utf-8", "surrogatepass"), key.encode("utf-8", "surrogatepass"), item.encode()))
    number = int.from_bytes(hmac.digest(secret, message, hashlib.sha256)[:8], "big") / 2**64
    return Lot(item, number >= share, 1.0 - share)


class ExposureProjection:
    """Keeps the views of exposures, their draws and demotions."""

    kinds = frozenset(
        {
            kinds.ADVICE_GIVEN,
            kinds.ADVICE_JUDGED,
            kinds.ADVICE_DEMOTED,
            kinds.EPISODE_STARTED,
            kinds.EPISODE_RECORDED,
            kinds.EPISODE_COMPLETED,
            EPISODE_EXPIRED,
        }
    )

    def apply(self, transaction: Transaction, event: Event, payload: dict[str, Any], size: int) -> None:
        if event.kind == kinds.ADVICE_GIVEN:
            self._given(transaction, event, payload)
        elif event.kind == kinds.ADVICE_JUDGED:
            self._judged(transaction, event, payload["outcome"])
        elif event.kind == kinds.ADVICE_DEMOTED:
            transaction.insert(_demotion, ((event.mind, payload["item"], event.position),))
        elif event.kind == kinds.EPISODE_COMPLETED:
            self._ended(transaction, event, payload["outcome"]["kind"])
        elif event.kind == EPISODE_EXPIRED:
            self._expired(transaction, event, payload)
        elif (given := payload.get("exposure")) is not None:
            self._begun(transaction, event, parse_id(given), payload.get("outcome"))

    def _given(self, transaction: Transaction, event: Event, payload: dict[str, Any]) -> None:
        transaction.insert(_exposure, ((event.mind, event.id, event.position, None, None, None),))
        rows = [(event.mind, item, event.id, int(shown), chance) for item, shown, chance in payload["items"]]
        if rows:
            transaction.insert(_draw, rows)

    def _judged(self, transaction: Transaction, event: Event, outcome: str) -> None:
        exposure = event.causation
        if exposure is None:
            raise no_exposure(exposure)
        check_judgement(transaction, event.mind, exposure, outcome)
        transaction.execute(_judge, of=event.mind, which=exposure, turned_out=outcome, at=event.position)

    def _begun(self, transaction: Transaction, event: Event, exposure: bytes, outcome: Any) -> None:
        if transaction.row(_by_id, mind=event.mind, id=exposure) is None:
            raise no_exposure(exposure)
        if not transaction.execute(_begin, of=event.mind, which=exposure, by=event.id):
            raise Conflict(
                f"the advice {format_id(exposure)} was already taken by another episode; ask for advice anew",
                exposure=format_id(exposure),
            )
        if outcome:
            transaction.execute(_judge, of=event.mind, which=exposure, turned_out=outcome["kind"], at=event.position)

    def _ended(self, transaction: Transaction, event: Event, outcome: str) -> None:
        row = transaction.row(_by_episode, mind=event.mind, episode=event.causation)
        if row is not None:
            transaction.execute(_judge, of=event.mind, which=bytes(row[0]), turned_out=outcome, at=event.position)

    def _expired(self, transaction: Transaction, event: Event, payload: dict[str, Any]) -> None:
        """In a replay alone is there anything to do: it stands where the episode was begun, and where it ended."""
        given, at, episode = payload.get("exposure"), payload.get("at"), event.causation
        if given is None or at is None or episode is None:
            return
        exposure = parse_id(given)
        if at == format_id(episode):
            transaction.execute(_begin, of=event.mind, which=exposure, by=episode)
        if at == payload["ended"]:
            position = position_of(transaction, event.mind, at)
            outcome = payload["outcome"]["kind"]
            transaction.execute(_judge, of=event.mind, which=exposure, turned_out=outcome, at=position)


def check_judgement(snapshot: Snapshot, mind: bytes, exposure: bytes, outcome: str) -> None:
    """Refuse an outcome of advice that was never given, or that turned out otherwise.

    Raises:
        NotFound: there is no such exposure.
        Conflict: it has another outcome.
    """
    row = snapshot.row(_by_id, mind=mind, id=exposure)
    if row is None:
        raise no_exposure(exposure)
    known, episode = row
    if known is None or known == outcome:
        return
    by = "by feedback" if episode is None else f"by episode {format_id(bytes(episode))}, which was begun with it"
    raise Conflict(
        f"the advice {format_id(exposure)} has an outcome already: {known}, told {by}. It cannot become {outcome}; "
        "tell the outcome of another attempt under the advice that was asked for it",
        exposure=format_id(exposure),
        outcome=known,
    )


def no_exposure(exposure: bytes | None) -> NotFound:
    """The error for an exposure that is not there."""
    shown = "" if exposure is None else f" {format_id(exposure)}"
    return NotFound(f"there is no advice{shown} in this mind; use the exposure_id of an advice that was recorded")


def given_payload(task: dict[str, Any], lots: Iterable[Lot], asked: Mapping[str, str]) -> dict[str, Any]:
    """The payload of the event that advice was given.

    Args:
        asked: what a retry under the same key must be equal to (see ``learning.repeats``); empty without a key.
    """
    items = [[lot.item, lot.shown, round(lot.chance * CHANCE_UNIT)] for lot in lots]
    return {"task": task, "items": items, **({"asked": dict(asked)} if asked else {})}


def given_lots(payload: dict[str, Any]) -> list[Lot]:
    """The lots in the payload of the event that advice was given."""
    return [Lot(item, bool(shown), chance / CHANCE_UNIT) for item, shown, chance in payload["items"]]


def read_draws(snapshot: Snapshot, mind: bytes, item: str, position: int = NOW) -> list[Draw]:
    """The draws of a piece of advice that were judged by a position, in the order in which their outcomes became
    known."""
    rows = snapshot.rows(_draws, mind=mind, item=item, position=position)
    return [
        Draw(bool(shown), chance / CHANCE_UNIT, outcome == "success", int(steps) if has_episode else None)
        for shown, chance, outcome, has_episode, steps in rows
    ]


def drawn_items(snapshot: Snapshot, mind: bytes) -> list[str]:
    """Every piece of advice for which a lot was ever drawn."""
    return [row[0] for row in snapshot.rows(_items, mind=mind)]


def exposures_of(snapshot: Snapshot, mind: bytes, item: str) -> int:
    """How often the lot was drawn for a piece of advice."""
    row = snapshot.row(_drawn, mind=mind, item=item)
    return int(row[0]) if row else 0


def judged_between(snapshot: Snapshot, mind: bytes, after: int, position: int) -> bool:
    """Whether the outcome of any exposure became known after one position and by another."""
    return snapshot.row(_judged, mind=mind, after=after, position=position) is not None


def harmful_items(snapshot: Snapshot, mind: bytes) -> frozenset[str]:
    """Advice whose trial says, at the stated rate of false alarms, that it does harm."""
    held_back = [row[0] for row in snapshot.rows(_held_back, mind=mind)]
    return frozenset(item for item in held_back if judge(read_draws(snapshot, mind, item)).harmful)


def demoted_items(snapshot: Snapshot, mind: bytes, position: int) -> frozenset[str]:
    """What had been demoted by a position."""
    return frozenset(row[0] for row in snapshot.rows(_demoted, mind=mind, position=position))
