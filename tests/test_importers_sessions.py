"""OpenTelemetry traces, and the transcripts of coding agents."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tacit.clock import parse_time
from tacit.experience.episode import Outcome, Record
from tacit.experience.importers import Imported, ImportOptions, Rejected, importer_for
from trials import open_mind

pytestmark = pytest.mark.requirement("EP-07")

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SECOND = 1_000_000_000


def read(path: Path, *lines: Any) -> list[Imported | Rejected]:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return list(importer_for("auto", path).read(path, ImportOptions()))


def only(path: Path, *lines: Any) -> Record:
    (result,) = read(path, *lines)
    assert isinstance(result, Imported), result
    return result.record


def value(given: Any) -> dict[str, Any]:
    if isinstance(given, dict):
        return {"kvlistValue": {"values": attributes(given)}}
    if isinstance(given, list):
        return {"arrayValue": {"values": [value(inner) for inner in given]}}
    return {"intValue": str(given)} if isinstance(given, int) else {"stringValue": given}


def attributes(given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": value(inner)} for name, inner in given.items()]


def span(number: int, operation: str, start: int, end: int, **more: Any) -> dict[str, Any]:
    told = {"gen_ai.operation.name": operation, **more.pop("told", {})}
    return {
        "traceId": TRACE_ID,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{1:016x}" if number > 1 else "",
        "name": f"{operation} x",
        "startTimeUnixNano": str(start * SECOND),
        "endTimeUnixNano": str(end * SECOND),
        "attributes": attributes(told),
        **more,
    }


def export(*spans: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def said(role: str, *parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": role, "parts": list(parts)}]


ROOT = span(
    1,
    "invoke_agent",
    10,
    30,
    status={"code": 1},
    told={
        "gen_ai.agent.name": "planner",
        "gen_ai.conversation.id": "c1",
        "gen_ai.input.messages": json.dumps(said("user", {"type": "text", "content": "Find a hotel."})),
    },
)
ASKED = [{"type": "text", "content": "I search."}, {"type": "tool_call", "id": "t1", "name": "search"}]
CHAT = span(
    2,
    "chat",
    11,
    12,
    told={
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.output.messages": said("assistant", *ASKED),
    },
)
TOOL = span(
    3,
    "execute_tool",
    13,
    15,
    told={
        "gen_ai.tool.name": "search",
        "gen_ai.tool.call.id": "t1",
        "gen_ai.tool.call.arguments": '{"city": "Köln"}',
        "gen_ai.tool.call.result": {"hotels": 3},
    },
)
ANSWER = span(
    4,
    "chat",
    20,
    21,
    told={
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.output.messages": json.dumps(said("assistant", {"type": "text", "content": "Three."})),
    },
)


def test_a_trace_is_one_episode_with_tool_spans_in_order_of_time(tmp_path: Path) -> None:
    found = only(tmp_path / "t.jsonl", export(ANSWER, TOOL), export(CHAT, ROOT))
    assert (found.task.description, found.task.agent, found.task.source_id) == ("Find a hotel.", "planner", TRACE_ID)
    assert found.task.metadata == {"conversation_id": "c1"}
    assert found.outcome == Outcome(kind="success")
    assert (found.started_at, found.ended_at) == (10_000_000, 30_000_000)
    tool, answer = found.steps
    assert (tool.tool, tool.parameters, tool.observation) == ("search", {"city": "Köln"}, {"hotels": 3})
    assert (tool.status, tool.thought, tool.tokens, tool.latency_ms) == ("success", "I search.", 120, 2000.0)
    assert tool.occurred_at == 13_000_000
    assert (answer.tool, answer.action, answer.tokens) == ("", "Three.", 7)


def test_ids_in_base64_numbers_as_numbers_and_snake_case_give_the_same_trace(tmp_path: Path) -> None:
    def other(given: dict[str, Any]) -> dict[str, Any]:
        def coded(name: str) -> str:
            return base64.b64encode(bytes.fromhex(given[name])).decode()

        times = {f"{side}_time_unix_nano": int(given[f"{side}TimeUnixNano"]) for side in ("start", "end")}
        ids = {"trace_id": coded("traceId"), "span_id": coded("spanId"), "parent_span_id": coded("parentSpanId")}
        kept = {name: given[name] for name in ("name", "attributes", "status") if name in given}
        return {**kept, **times, **ids}

    snake = {"resource_spans": [{"scope_spans": [{"spans": [other(each) for each in (ROOT, CHAT, TOOL, ANSWER)]}]}]}
    assert only(tmp_path / "a.json", snake) == only(tmp_path / "b.json", export(ROOT, CHAT, TOOL, ANSWER))


def test_an_error_status_is_a_failure_with_its_type_and_an_unset_one_stays_open(tmp_path: Path) -> None:
    failed = {**ROOT, "status": {"code": "STATUS_CODE_ERROR", "message": "gave up"}}
    failed["attributes"] = [*ROOT["attributes"], *attributes({"error.type": "LoopError"})]
    found = only(tmp_path / "a.json", export(failed, TOOL))
    assert found.outcome == Outcome(kind="failure", reason="LoopError: gave up")
    unset = only(tmp_path / "b.json", export({**ROOT, "status": {}}, TOOL))
    assert (unset.outcome, unset.ended_at) == (None, None)


@pytest.mark.parametrize(
    ("kind", "status"), [("TimeoutError", "timeout"), ("timeout", "timeout"), ("NotFound", "error")]
)
def test_a_tool_span_that_failed_says_how(tmp_path: Path, kind: str, status: str) -> None:
    event = {"name": "exception", "attributes": attributes({"exception.message": "no such city"})}
    failed = {**TOOL, "attributes": [*TOOL["attributes"], *attributes({"error.type": kind})], "events": [event]}
    (step,) = only(tmp_path / "a.json", export(ROOT, failed)).steps
    assert (step.status, step.error) == (status, f"{kind}: no such city")


def test_a_nested_agent_is_not_the_root_and_other_traces_are_rejected(tmp_path: Path) -> None:
    nested = span(5, "invoke_agent", 1, 2, told={"gen_ai.agent.name": "helper"})
    web = {**span(6, "", 1, 2), "traceId": "f" * 32, "attributes": []}
    results = read(tmp_path / "a.jsonl", export(nested, ROOT, TOOL), export(web))
    assert isinstance(results[0], Imported)
    assert results[0].record.task.agent == "planner"
    assert isinstance(results[1], Rejected)
    assert results[1].location == f"line 2 trace {'f' * 32}"


def claude(kind: str, content: Any, second: int, **more: Any) -> dict[str, Any]:
    message = {"role": kind, "content": content, **more.pop("message", {})}
    return {
        "type": kind,
        "uuid": more.pop("uuid", f"u{second}"),
        "sessionId": "s1",
        "timestamp": f"2026-01-01T00:00:{second:02}.000Z",
        "message": message,
        **more,
    }


USAGE = {"input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 10}
M1 = {"message": {"id": "m1", "model": "model-1", "usage": USAGE}}
CLAUDE = [
    {"type": "summary", "summary": "An old title", "leafUuid": "x"},
    {"type": "something-new", "payload": [1, 2]},
    claude("user", "<command-name>/init</command-name>", 0, isMeta=True),
    claude("user", "<system-reminder>be good</system-reminder>\nFix the test.", 1, cwd="project", gitBranch="main"),
    claude("assistant", [{"type": "thinking", "thinking": "Hm."}], 2, **M1),
    claude("assistant", [{"type": "text", "text": "I look."}], 3, **M1),
    claude("assistant", [{"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "a.py"}}], 4, **M1),
    claude("assistant", [{"type": "tool_use", "id": "t2", "name": "Bash", "input": {"command": "ls"}}], 5, **M1),
    claude("user", [{"type": "tool_result", "tool_use_id": "t2", "content": "gone", "is_error": True}], 7),
    claude(
        "user", [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "Error: 1"}]}], 8
    ),
    claude("assistant", [{"type": "text", "text": "Done."}], 9, message={"id": "m2", "usage": {"output_tokens": 3}}),
    claude("user", "Thanks.", 10),
]


def test_a_claude_code_session_is_one_open_episode(tmp_path: Path) -> None:
    found = only(tmp_path / "s.jsonl", *CLAUDE)
    task = found.task
    assert (task.description, task.source_id, task.agent) == ("Fix the test.", "s1", "claude-code")
    assert (task.metadata["git_branch"], task.metadata["model"]) == ("main", "model-1")
    assert found.outcome is None
    assert found.started_at == parse_time("2026-01-01T00:00:00Z")
    first, second, answer = found.steps
    assert (first.tool, first.parameters, first.thought) == ("Read", {"path": "a.py"}, "Hm.\n\nI look.")
    assert (first.observation, first.status, first.tokens, first.latency_ms) == ("Error: 1", "error", 115, 4000.0)
    assert (second.tool, second.status, second.error, second.tokens) == ("Bash", "error", "gone", None)
    assert (answer.action, answer.observation, answer.tokens) == ("Done.", "Thanks.", 3)


def test_side_chains_are_episodes_of_their_own(tmp_path: Path) -> None:
    side = [
        claude("user", "Search the code.", 20, isSidechain=True, uuid="r1", parentUuid=None),
        claude("assistant", [{"type": "text", "text": "Found."}], 21, isSidechain=True, uuid="r2", parentUuid="r1"),
        claude("user", "Read the docs.", 22, isSidechain=True, agentId="a7"),
        claude("assistant", [{"type": "text", "text": "Read."}], 23, isSidechain=True, agentId="a7"),
    ]
    results = read(tmp_path / "s.jsonl", *CLAUDE, *side)
    assert all(isinstance(result, Imported) for result in results)
    found = [result.record for result in results if isinstance(result, Imported)]
    assert [each.task.description for each in found] == ["Fix the test.", "Search the code.", "Read the docs."]
    assert [each.task.source_id for each in found] == ["s1", "s1:r1", "s1:a7"]
    assert [each.task.metadata.get("sidechain") for each in found] == [None, True, True]


def test_a_typed_command_is_what_the_person_asked_for(tmp_path: Path) -> None:
    typed = (
        "<command-message>review</command-message>\n"
        "<command-name>/review</command-name>\n<command-args>PR 5</command-args>"
    )
    found = only(tmp_path / "s.jsonl", claude("user", typed, 1), claude("assistant", "Fine.", 2))
    assert found.task.description == "/review PR 5"


def test_a_broken_line_of_a_transcript_is_rejected_and_the_rest_is_read(tmp_path: Path) -> None:
    results = read(tmp_path / "s.jsonl", *CLAUDE[:5], '{"type": "user", "mess', {"type": "user"}, *CLAUDE[5:])
    assert [type(result).__name__ for result in results] == ["Rejected", "Rejected", "Imported"]
    assert [result.location for result in results[:2]] == ["line 6", "line 7"]


def item(payload: dict[str, Any], second: int = 0, kind: str = "response_item") -> dict[str, Any]:
    return {"timestamp": f"2026-01-01T00:00:{second:02}Z", "type": kind, "payload": payload}


def message(role: str, text: str) -> dict[str, Any]:
    return {
        "type": "message",
        "role": role,
        "content": [{"type": f"{'in' if role == 'user' else 'out'}put_text", "text": text}],
    }


FAILED_RUN = json.dumps({"output": "1 failed", "metadata": {"exit_code": 1, "duration_seconds": 2.5}})
ITEMS = [
    message("user", "# AGENTS.md instructions for project\n\n<INSTRUCTIONS>be good</INSTRUCTIONS>"),
    message("user", "<environment_context>\n<cwd>project</cwd>\n</environment_context>"),
    message("user", "Fix the test."),
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Run it first."}], "encrypted_content": "x"},
    {"type": "function_call", "name": "shell", "call_id": "1", "arguments": '{"command": ["pytest", "-q"]}'},
    {"type": "function_call_output", "call_id": "1", "output": FAILED_RUN},
    {"type": "custom_tool_call", "name": "apply_patch", "call_id": "2", "input": "*** Begin"},
    {
        "type": "custom_tool_call_output",
        "call_id": "2",
        "output": "Exit code: 0\nWall time: 1 s\nOutput:\nError: in the text",
    },
    {"type": "local_shell_call", "call_id": "3", "action": {"type": "exec", "command": ["ls"]}},
    {"type": "function_call_output", "call_id": "3", "output": {"content": "a.py", "success": True}},
    message("assistant", "Fixed."),
]


def usage(total: int) -> dict[str, Any]:
    return item({"type": "token_count", "info": {"last_token_usage": {"total_tokens": total}}}, 9, "event_msg")


def test_a_codex_rollout_is_one_open_episode(tmp_path: Path) -> None:
    meta = item({"id": "r1", "cwd": "project", "cli_version": "1.0", "git": {"branch": "main"}}, 0, "session_meta")
    context = item({"model": "model-1"}, 0, "turn_context")
    echo = item({"type": "agent_message", "message": "Fixed."}, 9, "event_msg")
    lines = [item(payload, second) for second, payload in enumerate(ITEMS)]
    found = only(
        tmp_path / "r.jsonl", meta, context, *lines[:6], usage(50), *lines[6:], echo, usage(70), {"type": "new"}
    )
    task = found.task
    assert (task.description, task.source_id, task.agent) == ("Fix the test.", "r1", "codex")
    assert (task.metadata["model"], task.metadata["git_branch"]) == ("model-1", "main")
    shell, patch, local, answer = found.steps
    assert (shell.tool, shell.action, shell.thought) == ("shell", "pytest -q", "Run it first.")
    assert (shell.status, shell.observation, shell.latency_ms, shell.tokens) == ("error", "1 failed", 2500.0, 50)
    assert (patch.tool, patch.parameters, patch.status, patch.tokens) == (
        "apply_patch",
        {"input": "*** Begin"},
        "success",
        70,
    )
    assert (local.tool, local.action, local.observation, local.status) == ("local_shell", "ls", "a.py", "success")
    assert (answer.action, found.outcome) == ("Fixed.", None)


def test_an_older_rollout_without_wrappers_is_read_too(tmp_path: Path) -> None:
    found = only(
        tmp_path / "r.jsonl", {"id": "r0", "timestamp": "2025-05-01T00:00:00Z"}, {"record_type": "state"}, *ITEMS
    )
    assert (found.task.description, found.task.source_id, len(found.steps)) == ("Fix the test.", "r0", 4)
    assert found.started_at == parse_time("2025-05-01T00:00:00Z")


UNUSABLE_TIMES = {
    "not a time": "yesterday",
    "without a zone": "2026-01-01T00:00:00",
    "a number": 5,
    "before the year 1": "0001-01-01T00:00:00+14:00",
    "after the year 9999": "9999-12-31T23:59:59-14:00",
    "too early to be kept": "1684-01-01T00:00:00Z",
    "too late to be kept": "2256-01-01T00:00:00Z",
    "so early that a call took decades": "1700-01-01T00:00:00Z",
    "so late that a call took decades": "2255-01-01T00:00:00Z",
}
SESSIONS = {"claude-code": CLAUDE, "codex": [item(payload, second) for second, payload in enumerate(ITEMS)]}


@pytest.mark.parametrize("time", UNUSABLE_TIMES.values(), ids=UNUSABLE_TIMES)
@pytest.mark.parametrize("lines", SESSIONS.values(), ids=SESSIONS)
def test_an_unusable_time_costs_a_session_no_more_than_that_time(
    tmp_path: Path, lines: list[dict[str, Any]], time: Any
) -> None:
    whole = only(tmp_path / "whole.jsonl", *lines)
    for number in range(len(lines)):
        path = tmp_path / f"{number}.jsonl"
        found = only(path, *lines[:number], {**lines[number], "timestamp": time}, *lines[number + 1 :])
        assert [(step.tool, step.observation) for step in found.steps] == [
            (step.tool, step.observation) for step in whole.steps
        ]
        with open_mind(":memory:") as mind:
            report = mind.ingest(path)
            assert (report.imported, report.rejected) == (1, [])


def test_a_duration_that_cannot_be_is_left_out(tmp_path: Path) -> None:
    for seconds in (-1, 1e300):
        output = json.dumps({"output": "1 failed", "metadata": {"exit_code": 1, "duration_seconds": seconds}})
        lines = [item(payload) for payload in (*ITEMS[:5], {**ITEMS[5], "output": output}, ITEMS[-1])]
        assert only(tmp_path / "r.jsonl", *lines).steps[0].latency_ms is None
