"""ReAct traces: a text in which an agent's thoughts, actions and observations follow each other.

Two shapes are read, and may be mixed::

    Your task is to: put a mug on the desk.       Question: Where is the Louvre?
    > think: I look for a mug first.              Thought 1: I search for it.
    > go to shelf 1                               Action 1: Search[Louvre]
    On the shelf 1, you see a mug 2.              Observation 1: The Louvre is in Paris.

and for the second also ``Action: Search`` with ``Action Input: …``. The container is JSONL or JSON whose objects
hold the text next to free fields, or a plain text file that is one trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tacit.errors import InvalidInput
from tacit.experience.episode import Record, Step, Task
from tacit.experience.importers.base import UNREADABLE, Draft, FileImporter, drafts_of, rejection
from tacit.experience.importers.evidence import error_in
from tacit.experience.importers.fields import (
    description_of,
    metadata_of,
    object_of,
    outcome_of,
    parameters_of,
    source_id_of,
)
from tacit.experience.importers.files import LINE_SUFFIXES, items_in, text_in
from tacit.experience.importers.port import Rejected
from tacit.experience.importers.react_trace import Moment, Trace, trace_of

TEXT_FIELDS: tuple[str, ...] = ("traj", "trajectory", "trace", "prompt", "text")

_HEAD = re.compile(rb'(?:^|"|\n|\\n)(?:>\s*\w|(?:Thought|Action|Observation)(?: ?\d+)?:)')
_LEADING_WORD = re.compile(r"([^\W\d]\w{2,})[-/:#]")
_CALL = re.compile(r"([\w.-]+)\s*(?:\[(.*)\]|\((.*)\))\s*\.?", re.DOTALL)


class React(FileImporter):
    """Reads ReAct traces."""

    name = "react"
    description = "ReAct traces: '> action' lines or Thought / Action / Observation, as JSONL or plain text"
    suffixes = LINE_SUFFIXES | {".json", ".txt"}

    def recognises(self, head: bytes, path: Path) -> bool:
        return _HEAD.search(head) is not None

    def drafts(self, file: Path) -> Iterator[Draft | Rejected]:
        if file.suffix.lower() not in LINE_SUFFIXES and not _is_json(file):
            yield from _text_drafts(file)
            return
        for item in items_in(file):
            yield from drafts_of(item, record_of)


def record_of(value: Any) -> Record:
    """The record of one JSON object that holds a trace."""
    fields = object_of(value, "a trace")
    where = next((name for name in TEXT_FIELDS if isinstance(fields.get(name), str)), "")
    if not where:
        raise InvalidInput(f"holds no text under {', '.join(TEXT_FIELDS)}")
    trace = trace_of(fields[where])
    explicit = description_of(fields, without=where)
    metadata = metadata_of({name: inner for name, inner in fields.items() if inner != explicit}, without=where)
    source_id = source_id_of(fields)
    return _record(trace, explicit, metadata, source_id, outcome=outcome_of(fields))


def _text_drafts(file: Path) -> Iterator[Draft | Rejected]:
    try:
        text = text_in(file)
        if text.strip():
            yield Draft(_record(trace_of(text), "", {}, "", outcome=None), "text")
    except UNREADABLE as error:
        yield rejection("text", error)


def _is_json(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"["))


def _record(trace: Trace, explicit: str, metadata: dict[str, Any], source_id: str, *, outcome: Any) -> Record:
    if not trace.moments:
        raise InvalidInput("holds no action: no line begins with '> ' or 'Action:'")
    description = explicit or trace.task or trace.preamble
    if trace.preamble and trace.preamble != description:
        metadata["context"] = trace.preamble
    task = Task(description=description, task_type=leading_word(source_id), source_id=source_id, metadata=metadata)
    return Record(task=task, steps=tuple(_step(moment) for moment in trace.moments), outcome=outcome)


def leading_word(name: str) -> str:
    """The kind of task that a structured name begins with: ``clean_mug`` in ``clean_mug-Cup-3/trial_1``.

    It is the word before the first of - / : # when it begins with a letter and has at least three letters,
    digits or underscores and nothing else; otherwise "".
    """
    match = _LEADING_WORD.match(name)
    return match[1] if match else ""


def _step(moment: Moment) -> Step:
    error = error_in(moment.observation)
    status = "error" if error else "success"
    tool, parameters = _call_of(moment)
    return Step(
        tool=tool,
        action=moment.action,
        parameters=parameters,
        observation=moment.observation or None,
        status=status if moment.observation and moment.action else None,  # type: ignore[arg-type]
        error=error,
        thought=moment.thought,
    )


def _call_of(moment: Moment) -> tuple[str, dict[str, Any]]:
    """The tool and its parameters: ``tool[input]``, a tool with a separate input, or a verb and the rest."""
    action = moment.action
    if moment.input is not None:
        parameters = parameters_of(moment.input)
        return action, {"input": moment.input} if "_raw" in parameters else parameters
    if match := _CALL.fullmatch(action):
        given = match[2] if match[2] is not None else match[3]
        return match[1], {"input": given} if given else {}
    tool, _, rest = action.partition(" ")
    return tool.rstrip(":"), {"input": rest.strip()} if rest.strip() else {}
