"""Remembering what was said elsewhere: chat logs and lines of JSON."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

from tacit.errors import InvalidInput, shown
from tacit.experience import entrance
from tacit.experience.importers import Fit
from tacit.experience.limits import Limits
from tacit.experience.memory.importers.port import Conversations, MemoryFormat, MemoryOptions
from tacit.experience.memory.importers.registry import memory_importer_for
from tacit.experience.memory.intake import MemoryImportReport, import_memories
from tacit.experience.memory.memory import MEMORY_KINDS, MemoryKind
from tacit.stores.paths import path_of
from tacit.verbs.base import View


class MemoryImports(View):
    """Importing memories."""

    def import_memories(
        self,
        path: str | Path,
        *,
        format: MemoryFormat = "auto",
        user: str = "",
        session: str = "",
        agent: str = "",
        kind: MemoryKind | None = None,
        conversation: str = "",
        fit: Fit = "truncate",
        progress: Callable[[int], None] = lambda done: None,
    ) -> MemoryImportReport:
        """Remember what a file or folder holds. Doing it twice adds nothing; a bad record is listed, not fatal.

        What was imported before stays as it has become since: a correction holds, and what was forgotten stays so.
        Only where the source itself says something else than before is its memory corrected.

        Args:
            format: "openai-messages" (chat logs), "locomo" (conversations of many sessions) or "jsonl" (a memory a
                line: the keywords of :meth:`remember`, times in ISO 8601 or µs; or an export); "auto" looks at the
                content.
            user, session, agent, kind: hold for every memory, in place of what the file says.
            conversation: only this one of the conversations, by its id, such as "conv-26".
            fit: what to do with texts beyond the limits: "truncate" (with a visible mark), "split" (over several
                memories) or "refuse".
            progress: called with the number of memories done so far.

        Raises:
            NotFound: there is no such path, or no such conversation in it.
            InvalidInput: nothing recognises the content, or an option is none; nothing was stored.
        """
        path = path_of(path, "the path")
        entrance.check_progress(progress)
        options = memory_options(
            self.recorder.limits,
            user=user,
            session=session,
            agent=agent,
            kind=kind,
            conversation=conversation,
            fit=fit,
        )
        found = memory_importer_for(format, path).read(path, options)
        report = import_memories(self.recorder, found, progress)
        options.conversations.check()
        return report


def memory_options(
    limits: Limits,
    *,
    user: str = "",
    session: str = "",
    agent: str = "",
    kind: MemoryKind | None = None,
    conversation: str = "",
    fit: Fit = "truncate",
) -> MemoryOptions:
    """How to import memories, checked.

    Raises:
        InvalidInput: a kind or a way to fit that does not exist, or what is no text, or too long for a name.
    """
    if fit not in get_args(Fit):
        raise InvalidInput(f"fit is {shown(fit)}; use one of {', '.join(get_args(Fit))}", field="fit")
    if kind is not None and kind not in MEMORY_KINDS:
        raise InvalidInput(f"{shown(kind)} is no kind of memory; use one of {', '.join(MEMORY_KINDS)}", field="kind")
    for field, text in (("user", user), ("session", session), ("agent", agent), ("conversation", conversation)):
        entrance.check_whole(text, field)
        entrance.check_text(text, limits.name_bytes, field, "limits.name_bytes")
    return MemoryOptions(
        user=user,
        session=session,
        agent=agent,
        kind=kind,
        conversations=Conversations(conversation),
        fit=fit,
        limits=limits,
    )
