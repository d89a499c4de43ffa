"""Transcripts of Claude Code: JSONL, one entry per line, each content block of a model message on a line of its own.

A file is one session and so one episode; the work of a sub-agent (a side chain) is an episode of its own. Entries
and fields that are not known are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tacit.experience.importers.fields import object_of, parameters_of, text_of
from tacit.experience.importers.session import Session, SessionImporter, SessionReader, spoken, time_of

_COMMAND = re.compile(r"<command-name>(.*?)</command-name>", re.DOTALL)
_COMMAND_ARGUMENTS = re.compile(r"<command-args>(.*?)</command-args>", re.DOTALL)
_USAGE = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")


class ClaudeCode(SessionImporter):
    """Reads transcripts of Claude Code."""

    name = "claude-code"
    description = "Transcripts of Claude Code (JSONL), one episode per session and per side chain"

    def is_entry(self, entry: dict[str, Any]) -> bool:
        is_message = entry.get("type") in ("user", "assistant") and isinstance(entry.get("message"), dict)
        return is_message and "sessionId" in entry and "uuid" in entry

    def reader(self) -> SessionReader:
        return _Reader()


class _Reader(SessionReader):
    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._chain_of: dict[str, str] = {}
        """For each entry of a side chain, the entry that the chain began with."""

    def entry(self, entry: dict[str, Any], location: str) -> None:
        if entry.get("type") not in ("user", "assistant"):
            return
        message = object_of(entry.get("message"), "the message of an entry")
        session = self._session(entry, location)
        at = time_of(entry.get("timestamp"))
        session.saw(at)
        session.note(
            cwd=entry.get("cwd"), git_branch=entry.get("gitBranch"), version=entry.get("version"),
            model=message.get("model"),
        )  # fmt: skip
        if entry["type"] == "user":
            _user(session, entry, message.get("content"), at)
        else:
            _assistant(session, message, at)

    def sessions(self) -> Iterator[Session]:
        yield from self._sessions.values()

    def _session(self, entry: dict[str, Any], location: str) -> Session:
        chain = self._chain(entry)
        if chain not in self._sessions:
            session = Session(location)
            session.id = ":".join(filter(None, (str(entry.get("sessionId") or ""), chain)))
            session.note(session_id=entry.get("sessionId"))
            if chain:
                session.note(sidechain=True)
            self._sessions[chain] = session
        return self._sessions[chain]

    def _chain(self, entry: dict[str, Any]) -> str:
        """Which side chain the entry belongs to, "" for the main one."""
        if not entry.get("isSidechain"):
            return ""
        if agent := entry.get("agentId"):
            return str(agent)
        own = str(entry.get("uuid") or "")
        chain = self._chain_of.get(str(entry.get("parentUuid") or ""), own)
        self._chain_of[own] = chain
        return chain


def _user(session: Session, entry: dict[str, Any], content: Any, at: int | None) -> None:
    blocks = content if isinstance(content, list) else [{"type": "text", "text": content}]
    written: list[str] = []
    for block in blocks:
        if isinstance(block, dict) and block.get("type") == "tool_result":
            failed = block.get("is_error")
            session.dialogue.result(
                text_of(block.get("content")),
                call_id=str(block.get("tool_use_id") or ""),
                failed=failed if isinstance(failed, bool) else None,
                at=at,
            )
        else:
            written.append(text_of([block]))
    if not entry.get("isMeta") and not entry.get("isCompactSummary"):
        session.dialogue.user(_spoken("\n".join(written)))


def _spoken(text: str) -> str:
    """A command that a person typed stands in elements of its own, beside those that nobody typed."""
    command, arguments = _COMMAND.search(text), _COMMAND_ARGUMENTS.search(text)
    typed = " ".join(match[1].strip() for match in (command, arguments) if match)
    return "\n".join(filter(None, (typed.strip(), spoken(text))))


def _assistant(session: Session, message: dict[str, Any], at: int | None) -> None:
    name = str(message.get("id") or "")
    session.dialogue.begin(name)
    usage = message.get("usage")
    if name and isinstance(usage, dict):
        counts = [count for field in _USAGE if isinstance(count := usage.get(field), int)]
        session.dialogue.tokens[name] = max(sum(counts), session.dialogue.tokens.get(name, 0))
    content = message.get("content")
    for block in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        if not isinstance(block, dict):
            continue
        if block.get("type") == "text":
            session.dialogue.write(text_of(block.get("text")), at)
        elif block.get("type") == "thinking":
            session.dialogue.think(text_of(block.get("thinking")))
        elif block.get("type") in _CALLS:
            session.dialogue.call(
                str(block.get("name") or ""),
                parameters_of(block.get("input")),
                call_id=str(block.get("id") or ""),
                at=at,
            )
