"""OpenTelemetry traces of agents, after the semantic conventions for generative AI, as OTLP JSON or JSONL.

One trace is one episode. Its ``execute_tool`` spans are the steps, in the order in which they began; a model call
that answered in words is a step without a tool. Times come from the spans, tokens from the model calls, the
outcome from the status of the root ``invoke_agent`` span (of the root span, where no agent was invoked).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tacit.errors import InvalidInput
from tacit.experience.episode import Outcome, Record, Step, StepStatus, Task
from tacit.experience.importers.base import UNREADABLE, Draft, FileImporter, rejection
from tacit.experience.importers.evidence import error_in
from tacit.experience.importers.fields import parameters_of, text_of
from tacit.experience.importers.files import LINE_SUFFIXES, Item, decode, items_in
from tacit.experience.importers.otlp import Span, spans_of, structured
from tacit.experience.importers.port import Rejected

MODEL_OPERATIONS = frozenset({"chat", "generate_content", "text_completion"})
_NANOS_PER_MICRO = 1_000
_NANOS_PER_MILLI = 1_000_000


class Otel(FileImporter):
    """Reads OTLP JSON. The spans of a file are gathered first, since a trace may be spread over its lines."""

    name = "otel"
    description = "OpenTelemetry GenAI spans: OTLP JSON, or JSONL as the collector's file exporter writes"
    suffixes = LINE_SUFFIXES | {".json"}

    def recognises(self, head: bytes, path: Path) -> bool:
        return b'"resourceSpans"' in head or b'"resource_spans"' in head

    def drafts(self, file: Path) -> Iterator[Draft | Rejected]:
        yield from drafts_of_documents(_documents(file))


def _documents(file: Path) -> Iterator[tuple[str, Any] | Rejected]:
    for item in items_in(file):
        yield item if isinstance(item, Rejected) else _document(item)


def _document(item: Item) -> tuple[str, Any] | Rejected:
    try:
        return item.location, decode(item.raw)
    except UNREADABLE as error:
        return rejection(item.location, error)


def drafts_of_documents(documents: Iterable[tuple[str, Any] | Rejected]) -> Iterator[Draft | Rejected]:
    """The episodes in OTLP documents, each given with its location. Also serves spans that arrive over the wire."""
    traces: dict[str, list[Span]] = {}
    locations: dict[str, str] = {}
    for document in documents:
        if isinstance(document, Rejected):
            yield document
            continue
        location, value = document
        try:
            for span in spans_of(value):
                traces.setdefault(span.trace, []).append(span)
                locations.setdefault(span.trace, f"{location} trace {span.trace}")
        except UNREADABLE as error:
            yield rejection(location, error)
    for trace, spans in traces.items():
        try:
            yield Draft(record_of(spans), locations[trace])
        except UNREADABLE as error:
            yield rejection(locations[trace], error)


def record_of(spans: list[Span]) -> Record:
    """The record of one trace."""
    ordered = sorted(spans, key=lambda span: (span.start, span.id))
    if not any(span.operation for span in ordered):
        raise InvalidInput("holds no span of an agent: none has gen_ai.operation.name")
    root = _root(ordered)
    steps = tuple(_steps(ordered))
    if not steps:
        raise InvalidInput("holds no tool call and no answer, so nothing was done in it")
    outcome = _outcome(root)
    started_at = _micros(min((span.start for span in ordered if span.start), default=0))
    return Record(
        task=Task(
            description=_description([root, *ordered]) or root.name,
            agent=str(_first([root, *ordered], "gen_ai.agent.name") or ""),
            source_id=root.trace,
            metadata=_metadata(ordered),
        ),
        steps=steps,
        outcome=outcome,
        started_at=started_at,
        ended_at=_micros(root.end) if outcome and root.end >= root.start else None,
    )


def _root(ordered: list[Span]) -> Span:
    """The outermost invoke_agent span, else the first span whose parent is not in the trace."""
    by_id = {span.id: span for span in ordered}
    agents = [span for span in ordered if span.operation == "invoke_agent"]
    outermost = next((span for span in agents if not _inside(span, by_id, agents)), None)
    return outermost or next((span for span in ordered if span.parent not in by_id), ordered[0])


def _inside(span: Span, by_id: dict[str, Span], agents: list[Span]) -> bool:
    seen = {span.id}
    above = by_id.get(span.parent)
    while above is not None and above.id not in seen:
        if above in agents:
            return True
        seen.add(above.id)
        above = by_id.get(above.parent)
    return False


def _outcome(root: Span) -> Outcome | None:
    if root.ok is True:
        return Outcome(kind="success")
    return Outcome(kind="failure", reason=root.error) if root.ok is False else None


def _steps(ordered: list[Span]) -> Iterator[Step]:
    """Tool calls and answers. What a model call cost and said goes to the first step that came of it."""
    tokens: int | None = None
    said: list[str] = []
    for span in ordered:
        if span.operation in MODEL_OPERATIONS:
            tokens = _sum(tokens, _tokens(span))
            texts, calls = _output(span)
            if span.error or (texts and not calls):
                yield _answer(span, "\n\n".join(texts), tokens)
                tokens = None
            else:
                said += texts
        elif span.operation == "execute_tool":
            yield _tool_step(span, "\n\n".join(said), tokens)
            tokens, said = None, []


def _answer(span: Span, text: str, tokens: int | None) -> Step:
    return Step(
        action=text or span.name or span.operation,
        status=_failed_status(span.error),
        error=span.error,
        latency_ms=_latency(span),
        tokens=tokens,
        occurred_at=_micros(span.start),
    )


def _tool_step(span: Span, thought: str, tokens: int | None) -> Step:
    observation = structured(span.attributes.get("gen_ai.tool.call.result"))
    error = span.error or error_in(observation)
    call_id = span.attributes.get("gen_ai.tool.call.id")
    return Step(
        tool=str(span.attributes.get("gen_ai.tool.name") or span.name.removeprefix("execute_tool ")),
        parameters=parameters_of(structured(span.attributes.get("gen_ai.tool.call.arguments"))),
        observation=observation,
        status=_failed_status(error) or "success",
        error=error,
        thought=thought,
        latency_ms=_latency(span),
        tokens=tokens,
        occurred_at=_micros(span.start),
        metadata={"call_id": str(call_id)} if call_id else {},
    )


def _failed_status(error: str) -> StepStatus | None:
    if not error:
        return None
    return "timeout" if error.lower().split(":")[0].strip().endswith(("timeout", "timeouterror")) else "error"


def _output(span: Span) -> tuple[list[str], int]:
    """The texts that a model call answered, and how many tool calls it asked for."""
    texts: list[str] = []
    calls = 0
    for part in _parts(span, "gen_ai.output.messages"):
        if part.get("type") == "tool_call":
            calls += 1
        elif part.get("type") == "text" and (text := text_of(part.get("content") or part.get("text"))).strip():
            texts.append(text)
    return texts, calls


def _description(spans: list[Span]) -> str:
    """The first text of a user in the first span that recorded its input."""
    for span in spans:
        for part in _parts(span, "gen_ai.input.messages", role="user"):
            if part.get("type") == "text" and (text := text_of(part.get("content") or part.get("text"))).strip():
                return text.strip()
    return ""


def _parts(span: Span, name: str, *, role: str = "") -> Iterator[dict[str, Any]]:
    """The parts of the messages in an attribute of the span, or of one of its events."""
    sources = [span.attributes, *(attributes for _, attributes in span.events)]
    messages = structured(next((source[name] for source in sources if source.get(name)), None))
    for message in messages if isinstance(messages, list) else []:
        if not isinstance(message, dict) or (role and message.get("role") != role):
            continue
        parts = message.get("parts")
        if not isinstance(parts, list):
            parts = [{"type": "text", "content": message.get("content")}]
        yield from (part for part in parts if isinstance(part, dict))


def _metadata(ordered: list[Span]) -> dict[str, Any]:
    told = {
        "conversation_id": _first(ordered, "gen_ai.conversation.id"),
        "model": _first(ordered, "gen_ai.request.model") or _first(ordered, "gen_ai.response.model"),
        "provider": _first(ordered, "gen_ai.provider.name") or _first(ordered, "gen_ai.system"),
    }
    return {name: value for name, value in told.items() if value}


def _first(spans: list[Span], name: str) -> Any:
    return next((span.attributes[name] for span in spans if span.attributes.get(name)), None)


def _tokens(span: Span) -> int | None:
    usage = (span.attributes.get(f"gen_ai.usage.{side}_tokens") for side in ("input", "output"))
    counts = [count for count in usage if isinstance(count, int)]
    return sum(counts) if counts else None


def _sum(before: int | None, more: int | None) -> int | None:
    return before if more is None else (before or 0) + more


def _latency(span: Span) -> float | None:
    return (span.end - span.start) / _NANOS_PER_MILLI if span.start and span.end >= span.start else None


def _micros(nanos: int) -> int | None:
    return nanos // _NANOS_PER_MICRO if nanos else None
