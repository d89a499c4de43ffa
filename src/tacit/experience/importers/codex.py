"""Rollouts of OpenAI's Codex CLI: JSONL whose lines wrap a payload; older files hold the payloads bare.

One file is one session and so one episode. Payloads that are not known, and events that repeat what the response
items say, are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tacit.errors import InvalidInput
from tacit.experience.importers.fields import object_of, parameters_of, text_of
from tacit.experience.importers.files import decode
from tacit.experience.importers.session import Session, SessionImporter, SessionReader, spoken, time_of

_WRAPPERS = frozenset({"session_meta", "response_item", "event_msg", "turn_context", "compacted"})
_CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call", "web_search_call"})
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output", "local_shell_call_output"})
_EXIT_CODE = re.compile(r"^(?:Exit code|Process exited with code):? (-?\d+)", re.MULTILINE)
_EXIT_CODE_LINES = 6
"""The exit code stands in the first lines of an output; further down it would be part of what was printed."""


class Codex(SessionImporter):
    """Reads rollouts of the Codex CLI."""

    name = "codex"
    description = "Rollouts of the OpenAI Codex CLI (JSONL), one episode per session"

    def is_entry(self, entry: dict[str, Any]) -> bool:
        kind = str(entry.get("type") or "")
        if kind in _WRAPPERS:
            return isinstance(entry.get("payload"), dict)
        return entry.get("record_type") == "state" or kind in _CALLS | _OUTPUTS

    def reader(self) -> SessionReader:
        return _Reader()


class _Reader(SessionReader):
    def __init__(self) -> None:
        self._session: Session | None = None
        self._message = 0
        """Counts the model's messages: each report of tokens ends one."""

    def entry(self, entry: dict[str, Any], location: str) -> None:
        session = self._session = self._session or self._begin(location)
        at = time_of(entry.get("timestamp"))
        session.saw(at)
        kind = str(entry.get("type") or "")
        if kind not in _WRAPPERS:
            self._bare(session, entry, at)
            return
        payload = object_of(entry.get("payload"), f"the payload of {kind}")
        if kind == "session_meta":
            self._meta(session, payload)
        elif kind == "turn_context":
            session.note(model=payload.get("model"))
        elif kind == "event_msg":
            self._event(session, payload)
        elif kind == "response_item":
            _item(session, payload, at)

    def sessions(self) -> Iterator[Session]:
        if self._session is not None:
            yield self._session

    def _begin(self, location: str) -> Session:
        session = Session(location)
        session.dialogue.begin("0")
        return session

    def _bare(self, session: Session, entry: dict[str, Any], at: int | None) -> None:
        if "type" in entry:
            _item(session, entry, at)
        elif "id" in entry:
            self._meta(session, entry)

    def _meta(self, session: Session, payload: dict[str, Any]) -> None:
        session.id = session.id or str(payload.get("id") or "")
        git = payload.get("git")
        session.note(
            session_id=payload.get("id"),
            cwd=payload.get("cwd"),
            version=payload.get("cli_version"),
            git_branch=git.get("branch") if isinstance(git, dict) else None,
        )

    def _event(self, session: Session, payload: dict[str, Any]) -> None:
        info = payload.get("info")
        if payload.get("type") != "token_count" or not isinstance(info, dict):
            return
        usage = info.get("last_token_usage")
        total = usage.get("total_tokens") if isinstance(usage, dict) else None
        if isinstance(total, int):
            session.dialogue.tokens[str(self._message)] = total
        self._message += 1
        session.dialogue.begin(str(self._message))


def _item(session: Session, item: dict[str, Any], at: int | None) -> None:
    kind = str(item.get("type") or "")
    if kind == "message":
        _message(session, item, at)
    elif kind == "reasoning":
        session.dialogue.think(text_of(item.get("summary") or item.get("content")))
    elif kind in _CALLS:
        _call(session, item, at)
    elif kind in _OUTPUTS:
        _output(session, item, at)


def _message(session: Session, item: dict[str, Any], at: int | None) -> None:
    text = text_of(item.get("content"))
    if item.get("role") == "assistant":
        session.dialogue.write(text, at)
    elif item.get("role") == "user":
        session.dialogue.user(spoken(text))


def _call(session: Session, item: dict[str, Any], at: int | None) -> None:
    default = str(item["type"]).removesuffix("_call")
    given = next((item[name] for name in ("arguments", "input", "action") if item.get(name) is not None), None)
    parameters = {"input": given} if item["type"] == "custom_tool_call" else parameters_of(given)
    command = parameters.get("command", parameters.get("cmd", ""))
    session.dialogue.call(
        str(item.get("name") or default),
        parameters,
        call_id=str(item.get("call_id") or item.get("id") or ""),
        action=" ".join(map(str, command)) if isinstance(command, list) else str(command),
        at=at,
    )
    if item["type"] == "web_search_call":
        failed = item.get("status") == "failed"
        session.dialogue.result(None, call_id=str(item.get("call_id") or item.get("id") or ""), failed=failed, at=at)


def _output(session: Session, item: dict[str, Any], at: int | None) -> None:
    text, exit_code, seconds = _unwrapped(item.get("output"))
    session.dialogue.result(
        text,
        call_id=str(item.get("call_id") or ""),
        failed=None if exit_code is None else exit_code != 0,
        at=at,
        latency_ms=None if seconds is None else seconds * 1000,
    )


def _unwrapped(output: Any) -> tuple[str, int | None, float | None]:
    """The output's text, with the exit code and the duration in seconds where the wrapping tells them."""
    fields = output if isinstance(output, dict) else _object_or_none(output)
    if fields is None:
        text = text_of(output)
        found = _EXIT_CODE.search("\n".join(text.splitlines()[:_EXIT_CODE_LINES]))
        return text, int(found[1]) if found else None, None
    facts = fields.get("metadata")
    facts = facts if isinstance(facts, dict) else {}
    code, seconds = facts.get("exit_code"), facts.get("duration_seconds")
    if isinstance(success := fields.get("success"), bool) and code is None:
        code = 0 if success else 1
    text = text_of(fields.get("output", fields.get("content")))
    timed = isinstance(seconds, int | float)
    return text, code if isinstance(code, int) else None, seconds if timed else None


def _object_or_none(output: Any) -> dict[str, Any] | None:
    """The object that a shell's output is wrapped in; a tool's own JSON, which has no ``output``, is not one."""
    if not isinstance(output, str) or not output.startswith("{"):
        return None
    try:
        value = decode(output.encode())
    except InvalidInput:
        return None
    return value if isinstance(value, dict) and "output" in value and "metadata" in value else None
