"""Tacit: a mind that lasts and learns for AI agents.

    import tacit

    with tacit.open("agent.db", mind="support") as mind:
        with mind.episode("Change the seat on HAT136", domain="airline") as episode:
            episode.step(tool="get_user_details", parameters={"user": "mia"}, observation="…", success=True)
            episode.complete("success", score=1.0)

Names are loaded when first used, so that importing Tacit costs next to nothing.
"""

from __future__ import annotations

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from tacit import aio
    from tacit.errors import (
        AlreadyCompleted,
        Closed,
        Conflict,
        Erased,
        Expired,
        ForkedStore,
        IntegrityError,
        InvalidInput,
        InvalidSetting,
        LimitExceeded,
        ModelError,
        NotAStore,
        NotFound,
        NotSettled,
        PermissionDenied,
        QuotaExceeded,
        RateLimitExceeded,
        ReadOnly,
        SchemaMismatch,
        StoreBusy,
        StoreError,
        StoreFull,
        StoreUnavailable,
        TacitError,
    )
    from tacit.experience.episode import Artifact, Episode, Outcome, Record, Relation, Step, Task
    from tacit.experience.erasing.receipt import Receipt
    from tacit.experience.handoff import HandOff
    from tacit.experience.live import LiveEpisode, OpenEpisodeWarning
    from tacit.experience.memory.intake import MemoryImportReport
    from tacit.experience.memory.memory import Memory
    from tacit.learning.advising.advice import Advice, Evidence, Playbook, Tool
    from tacit.learning.assessment.evidence import Estimate
    from tacit.mind import Mind, PastMind
    from tacit.opening import OpenStore, open_store
    from tacit.opening import open_mind_alone as open
    from tacit.recall.answer import Recollection
    from tacit.verbs.memories import RememberReport

__version__ = "0.1.0"

_HOMES = {
    "aio": ("tacit.aio", ""),
    "open": ("tacit.opening", "open_mind_alone"),
    "open_store": ("tacit.opening", "open_store"),
    "OpenStore": ("tacit.opening", "OpenStore"),
    "Mind": ("tacit.mind", "Mind"),
    "PastMind": ("tacit.mind", "PastMind"),
    "LiveEpisode": ("tacit.experience.live", "LiveEpisode"),
    "OpenEpisodeWarning": ("tacit.experience.live", "OpenEpisodeWarning"),
    "MemoryImportReport": ("tacit.experience.memory.intake", "MemoryImportReport"),
    "Memory": ("tacit.experience.memory.memory", "Memory"),
    "Recollection": ("tacit.recall.answer", "Recollection"),
    "RememberReport": ("tacit.verbs.memories", "RememberReport"),
    "HandOff": ("tacit.experience.handoff", "HandOff"),
    "Receipt": ("tacit.experience.erasing.receipt", "Receipt"),
    **{name: ("tacit.learning.advising.advice", name) for name in ("Advice", "Evidence", "Playbook", "Tool")},
    "Estimate": ("tacit.learning.assessment.evidence", "Estimate"),
    **{
        name: ("tacit.experience.episode", name)
        for name in ("Artifact", "Episode", "Outcome", "Record", "Relation", "Step", "Task")
    },
}

_ERRORS = (
    "AlreadyCompleted",
    "Closed",
    "Conflict",
    "Erased",
    "Expired",
    "ForkedStore",
    "IntegrityError",
    "InvalidInput",
    "InvalidSetting",
    "LimitExceeded",
    "ModelError",
    "NotAStore",
    "NotFound",
    "NotSettled",
    "PermissionDenied",
    "QuotaExceeded",
    "RateLimitExceeded",
    "ReadOnly",
    "SchemaMismatch",
    "StoreBusy",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "TacitError",
)

__all__ = [
    "Advice",
    "AlreadyCompleted",
    "Artifact",
    "Closed",
    "Conflict",
    "Episode",
    "Erased",
    "Estimate",
    "Evidence",
    "Expired",
    "ForkedStore",
    "HandOff",
    "IntegrityError",
    "InvalidInput",
    "InvalidSetting",
    "LimitExceeded",
    "LiveEpisode",
    "Memory",
    "MemoryImportReport",
    "Mind",
    "ModelError",
    "NotAStore",
    "NotFound",
    "NotSettled",
    "OpenEpisodeWarning",
    "OpenStore",
    "Outcome",
    "PastMind",
    "PermissionDenied",
    "Playbook",
    "QuotaExceeded",
    "RateLimitExceeded",
    "ReadOnly",
    "Receipt",
    "Recollection",
    "Record",
    "Relation",
    "RememberReport",
    "SchemaMismatch",
    "Step",
    "StoreBusy",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "TacitError",
    "Task",
    "Tool",
    "__version__",
    "aio",
    "open",
    "open_store",
]


def __getattr__(name: str) -> _typing.Any:
    module, attribute = _HOMES.get(name, ("tacit.errors", name) if name in _ERRORS else ("", ""))
    if not module:
        raise AttributeError(f"module 'tacit' has no attribute {name!r}")
    loaded = _importlib.import_module(module)
    value: _typing.Any = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
