"""OpenAI chat messages, with tool calls: one conversation, a JSON list of them, or JSONL.

A conversation is a plain list of messages, or an object that holds one next to free fields (an id, a reward …), or
an object with the dialogue as displayed text (``user: …``, ``assistant: …``, ``tool: …``). System messages are the
agent's set-up and not part of what happened; they are not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tacit.errors import InvalidInput
from tacit.experience.episode import Record, Task
from tacit.experience.importers.base import Draft, FileImporter, drafts_of
from tacit.experience.importers.dialogue import Dialogue
from tacit.experience.importers.fields import (
    description_of,
    list_of,
    metadata_of,
    object_of,
    outcome_of,
    parameters_of,
    source_id_of,
    text_of,
)
from tacit.experience.importers.files import LINE_SUFFIXES, items_in
from tacit.experience.importers.port import Rejected

MESSAGE_FIELDS: tuple[str, ...] = ("messages", "traj", "conversation")

_ROLES = r"(system|developer|user|human|assistant|tool|function)"
_DISPLAYED = re.compile(rf"^{_ROLES}:[ \t]?", re.MULTILINE | re.IGNORECASE)
_DISPLAYED_HEAD = re.compile(
    rb'"\s*(?:system|user|human|assistant):[^"]*\\n(?:user|human|assistant|tool):', re.IGNORECASE
)
_MESSAGE_HEAD = re.compile(rb'"role"\s*:\s*"(?:system|developer|user|assistant|tool|function)"')
_CONTENT_HEAD = re.compile(rb'"(?:content|tool_calls|function_call)"\s*:')


class OpenAIMessages(FileImporter):
    """Reads OpenAI chat messages."""

    name = "openai-messages"
    description = "OpenAI chat messages with tool calls (JSON or JSONL), or dialogues displayed as text"
    suffixes = LINE_SUFFIXES | {".json"}

    def recognises(self, head: bytes, path: Path) -> bool:
        if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"[", b"{")):
            return False
        is_messages = _MESSAGE_HEAD.search(head) and _CONTENT_HEAD.search(head)
        return bool(is_messages or _DISPLAYED_HEAD.search(head))

    def drafts(self, file: Path) -> Iterator[Draft | Rejected]:
        for item in items_in(file):
            yield from drafts_of(item, record_of)


def record_of(value: Any) -> Record:
    """The record that one conversation amounts to."""
    fields = {"messages": value} if isinstance(value, list) else object_of(value, "a conversation")
    where, messages = messages_of(fields)
    dialogue = dialogue_of(messages)
    steps = dialogue.steps()
    if not steps:
        raise InvalidInput("holds no message of an agent, so nothing was done in it")
    explicit = description_of(fields, without=where)
    metadata = metadata_of({name: inner for name, inner in fields.items() if inner != explicit}, without=where)
    if explicit and dialogue.task and dialogue.task != explicit:
        metadata["opening"] = dialogue.task
    task = Task(description=explicit or dialogue.task, source_id=source_id_of(fields), metadata=metadata)
    return Record(task=task, steps=steps, outcome=outcome_of(fields))


def dialogue_of(messages: list[Any]) -> Dialogue:
    """The dialogue that a list of chat messages is."""
    dialogue = Dialogue()
    for number, value in enumerate(messages, 1):
        message = object_of(value, f"message {number}")
        match message.get("role"):
            case "user" | "human":
                dialogue.user(text_of(message.get("content")))
            case "assistant":
                _assistant(dialogue, message)
            case "tool" | "function":
                _tool(dialogue, message)
            case "system" | "developer":
                pass
            case role:
                raise InvalidInput(f"message {number} has the role {role!r}; roles are user, assistant, tool, system")
    return dialogue


def messages_of(fields: dict[str, Any]) -> tuple[str, list[Any]]:
    """The name of the field that holds a conversation's messages, and these.

    Raises:
        InvalidInput: none does.
    """
    for name in MESSAGE_FIELDS:
        if isinstance(value := fields.get(name), list):
            return name, value
    for name, value in fields.items():
        if isinstance(value, str) and (messages := displayed_messages(value)):
            return name, messages
    raise InvalidInput(f"holds no list of messages under {', '.join(MESSAGE_FIELDS)}, and no dialogue as text")


def displayed_messages(text: str) -> list[dict[str, str]]:
    """The messages of a dialogue that is displayed as lines which begin with a role; [] when it is no such text."""
    marks = list(_DISPLAYED.finditer(text))
    if not marks or text[: marks[0].start()].strip() or len({mark[1].lower() for mark in marks}) < 2:
        return []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [
        {"role": mark[1].lower(), "content": _displayed(text[mark.end() : end].strip())}
        for mark, end in zip(marks, ends, strict=True)
    ]


def _displayed(content: str) -> str:
    """A message without content, such as a bare tool call, is displayed as None."""
    return "" if content == "None" else content


def _assistant(dialogue: Dialogue, message: dict[str, Any]) -> None:
    for name in ("reasoning_content", "reasoning"):
        if isinstance(thought := message.get(name), str):
            dialogue.think(thought)
    dialogue.write(text_of(message.get("content") or message.get("refusal")))
    calls = list_of(message.get("tool_calls"), "tool_calls")
    if legacy := message.get("function_call"):
        calls = [*calls, {"function": legacy}]
    for value in calls:
        call = object_of(value, "a tool call")
        function = object_of(call.get("function") or call.get("custom") or call, "the function of a tool call")
        arguments = function.get("arguments", function.get("input"))
        dialogue.call(str(function.get("name") or ""), parameters_of(arguments), call_id=str(call.get("id") or ""))
    if not calls:
        dialogue.close()


def _tool(dialogue: Dialogue, message: dict[str, Any]) -> None:
    flags = [flag for name in ("is_error", "isError") if isinstance(flag := message.get(name), bool)]
    dialogue.result(
        text_of(message.get("content")),
        call_id=str(message.get("tool_call_id") or ""),
        tool=str(message.get("name") or ""),
        failed=any(flags) if flags else None,
    )
