"""Recalling: finding what is remembered and matters for a question."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tacit.clock import to_micros
from tacit.errors import InvalidInput, shown
from tacit.experience import entrance
from tacit.experience.memory.memory import EPISODE, RecalledKind
from tacit.ids import parse_id
from tacit.ops.logging import operation
from tacit.recall.answer import Recollection
from tacit.recall.finding import MOST_HITS, Asked
from tacit.verbs.base import View
from tacit.verbs.memories import memory_filter

LONGEST_QUERY_BYTES = 10_000
MOST_TOKENS = 1_000_000_000


class Recalls(View):
    """Recalling."""

    def recall(
        self,
        query: str,
        *,
        k: int = 10,
        user: str = "",
        session: str = "",
        agent: str = "",
        kinds: Sequence[RecalledKind] = (),
        speaker: str = "",
        subject: str = "",
        occurred_after: datetime | None = None,
        occurred_before: datetime | None = None,
        valid_at: datetime | None = None,
        threshold: float | None = None,
        max_tokens: int | None = None,
        recipe: str = "default",
    ) -> Recollection:
        """What is remembered that matters for a question, the best first, each hit with the reasons for its score.

        Words and meaning are compared, with what stands beside a turn of a conversation, who said it, and when; a time
        in the question ("in May") counts in favour of what fits it, and shuts nothing out. Finished episodes are among
        the hits; ``mind.get(hit.id)`` reads one. What is new is found by its words at once, by meaning after ``lag``.

        Args:
            query: a question, or what it is about, in words.
            k: how many hits at most, 1 … 1,000.
            user, session, agent, kinds, speaker, subject: only what is of these. Nothing of another user is ever let
                through. Episodes have an agent, and no user or session.
            occurred_after, occurred_before: only from the first until before the second.
            valid_at: only what was true then. None: what is no longer true, or not yet, is ranked lower.
            threshold: only hits with at least this score.
            max_tokens: hits whose texts have about so many tokens together, the best that fit.
            recipe: how to rank; one of ``tacit.recall.recipe.RECIPES``.

        Raises:
            InvalidInput: a part has a wrong type or is out of range, or there is no query.
        """
        names = {"user": user, "session": session, "agent": agent, "speaker": speaker, "subject": subject}
        times = {"occurred_after": occurred_after, "occurred_before": occurred_before}
        asked = Asked(
            query=_checked_query(query),
            k=_checked_count(k, "k", MOST_HITS),
            wanted=memory_filter(kinds=kinds, episodes=True, **names, **times),  # type: ignore[arg-type]
            valid_at=None if valid_at is None else to_micros(valid_at),
            threshold=_checked_threshold(threshold),
            max_tokens=None if max_tokens is None else _checked_count(max_tokens, "max_tokens", MOST_TOKENS),
            recipe=recipe,
        )
        return self._recall(asked)

    def embedder_answers(self) -> bool:
        """Whether there is an embedder, and it answers just now; one behind a server is waited for as any question does
        (``learning.embedder_wait_seconds``). Where it does not, recall goes by words, and no vectors are made."""
        meaning = self._shared.recaller.serving.wanted
        return meaning is not None and (not meaning.remote or meaning.answers())

    def _recall(self, asked: Asked) -> Recollection:
        recorder, shared = self.recorder, self._shared
        now = recorder.journal.clock.now()
        with operation("recall", mind=self.name):
            found = shared.recaller.recall(recorder.journal.store, recorder.mind.id, self._position, asked, now)
        if not recorder.journal.store.read_only:
            memories = [parse_id(hit.id) for hit in found if hit.kind != EPISODE]  # an episode is not forgotten unused
            shared.uses.note(recorder.mind.id, memories, now)
        return found


def _checked_query(query: object) -> str:
    if not isinstance(query, str):
        raise InvalidInput(
            f"recall needs a query in words, such as 'which seat does Ann like?', not {type(query).__name__}",
            field="query",
        )
    if not query.strip():
        raise InvalidInput("recall needs a query: what is wanted to be known?", field="query")
    entrance.check_whole(query, "query")
    entrance.check_text(query, LONGEST_QUERY_BYTES, "query", "one question")
    return query


def _checked_count(value: object, field: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput(f"{field} {shown(value)} is not a whole number from 1 to {most:,}", field=field)
    return value


def _checked_threshold(value: object) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value != value):
        raise InvalidInput(f"threshold {shown(value)} is not a number", field="threshold")
    return value
