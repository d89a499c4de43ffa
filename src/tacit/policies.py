"""What the settings say, in the form in which each room wants to hear it."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING

from tacit.experience.expiring import EpisodeRetention
from tacit.experience.live import Buffering
from tacit.journal.allowance import Bounds
from tacit.journal.consumers import Pace
from tacit.journal.journal import JournalOptions
from tacit.journal.notary import Cadence
from tacit.learning.patterns.mining import MiningPolicy
from tacit.learning.studying.student import StudyPolicy
from tacit.learning.trials.exposure import Withholding
from tacit.ops.schedule import Schedule
from tacit.recall.forgetting import Retention
from tacit.retry import RetryPolicy
from tacit.stores.opening import is_postgres
from tacit.stores.port import Store

if TYPE_CHECKING:
    from tacit.ops.settings import Settings

_log = logging.getLogger("tacit.policies")


def bounds(settings: Settings) -> Bounds:
    return Bounds(
        mind_events=settings.quotas.mind_events,
        tenant_events=settings.quotas.tenant_events,
        tenant_minds=settings.quotas.tenant_minds,
        mind_rate=settings.rates.mind_events,
        tenant_rate=settings.rates.tenant_events,
    )


def buffering(settings: Settings) -> Buffering:
    return Buffering(steps=settings.buffer.steps, seconds=settings.buffer.seconds)


def retention(settings: Settings) -> Retention:
    kept = settings.retention
    days = {
        "turn": kept.turn_days,
        "fact": kept.fact_days,
        "preference": kept.preference_days,
        "instruction": kept.instruction_days,
        "note": kept.note_days,
    }
    return Retention(
        memories=kept.memories or None,
        memory_bytes=kept.memory_bytes or None,
        days={kind: bound for kind, bound in days.items() if bound},
        half_life_days=kept.half_life_days,
    )


def episode_retention(settings: Settings) -> EpisodeRetention:
    kept = settings.retention
    return EpisodeRetention(
        episodes=kept.episodes or None,
        per_kind=kept.episodes_per_kind or None,
        bytes=kept.episode_bytes or None,
        days=kept.episode_days or None,
    )


def study_policy(settings: Settings) -> StudyPolicy:
    learning = settings.learning
    return StudyPolicy(
        window=learning.window,
        mining=MiningPolicy(
            half_life_days=learning.half_life_days,
            least_support=learning.least_support,
            false_discovery_rate=learning.false_discovery_rate,
        ),
    )


def withholding(settings: Settings) -> Withholding:
    advice = settings.advice
    return Withholding(share=advice.withhold_share, floor=advice.withhold_floor, half_after=advice.withhold_half_after)


def schedule(settings: Settings) -> Schedule:
    backup = settings.backup
    return Schedule(directory=backup.directory, every_seconds=backup.every_seconds, keep=backup.keep)


def journal_options(settings: Settings, store: Store, anchor: Path | None) -> JournalOptions:
    journal = settings.journal
    retry = settings.retry
    following = settings.consumers
    return JournalOptions(
        group_events=journal.group_events,
        max_body_bytes=settings.limits.event_bytes,
        max_depth=settings.limits.json_depth,
        retry=RetryPolicy(
            attempts=retry.attempts,
            first_delay=retry.first_delay_seconds,
            factor=retry.factor,
            max_delay=retry.max_delay_seconds,
            patience=settings.postgres.pool_timeout_seconds if is_postgres(store.location) else math.inf,
        ),
        cadence=Cadence(events=journal.checkpoint_events, seconds=journal.checkpoint_seconds),
        pace=Pace(
            batch_events=following.batch_events,
            poll_seconds=following.poll_seconds,
            lease_seconds=following.lease_seconds,
        ),
        anchor=anchor,
        slow_seconds=settings.log.slow_ms / 1_000,
        background=following.enabled,
    )
