"""Runs the command line for tests: in this process for speed, or as the installed program where that matters."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.cli.app import run_command
from tacit.ops import logging


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as exactly one JSON document."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """Standard error as exactly one JSON document."""
        return json.loads(self.err)


class CommandLine:
    """Runs commands against one store."""

    def __init__(self, store: Path) -> None:
        self.store = store

    def __call__(self, *arguments: str, stdin: str = "") -> Ran:
        """Run a command in this process, on this store."""
        return run_here("--store", str(self.store), *arguments, stdin=stdin)

    def json(self, *arguments: str) -> Any:
        """The JSON that a command writes; it must succeed and write nothing else."""
        ran = self(*arguments, "--json")
        assert (ran.code, ran.err) == (0, "")
        return ran.json


def run_here(*arguments: str, stdin: str = "") -> Ran:
    """Run a command line in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_command(arguments)
    finally:
        sys.stdin = before
        logging.unconfigure()
    return Ran(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))  # type: ignore[attr-defined]


def run_program(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command line as a program of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TACIT_")}
    environ |= options.pop("env", {})
    command = [sys.executable, "-m", "tacit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environ, **options)


def at_a_terminal(*arguments: str, typed: str = "", columns: int = 200) -> tuple[int, str]:
    """Run the program with a terminal of its own; its exit code, and all that the terminal was sent."""
    leader, follower = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    command = [sys.executable, "-m", "tacit", *arguments]
    streams = {"stdin": follower, "stdout": follower, "stderr": follower}
    with subprocess.Popen(command, env=environ, start_new_session=True, **streams) as running:
        os.close(follower)
        sent = b""
        while more := _read(leader):
            sent += more
            if typed and sent.endswith(b": "):  # it asks
                os.write(leader, f"{typed}\n".encode())
                typed = ""
    os.close(leader)
    return running.returncode, sent.decode()


def _read(terminal: int) -> bytes:
    """What comes next; nothing when the last program has let go of the terminal, which Linux reports as an error."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def write_traces(path: Path, *, good: int = 3, bad: int = 0) -> Path:
    """A file of Tacit's own JSONL: attempts in the domain "shop", every third a failure, and lines that are none."""
    lines = []
    for number in range(good):
        failed = number % 3 == 2
        steps: list[dict[str, Any]] = [
            {"tool": "search", "parameters": {"query": f"item {number}"}, "observation": "found", "status": "success"},
            {"tool": "buy", "observation": "" if failed else "bought", "status": "error" if failed else "success"},
        ]
        if failed:
            steps[1]["error"] = "out of stock"
        outcome = {"kind": "failure", "reason": "out of stock"} if failed else {"kind": "success", "score": 1.0}
        task = {"description": f"Buy item {number}", "domain": "shop", "source_id": str(number)}
        lines.append(json.dumps({"task": task, "steps": steps, "outcome": outcome, "key": f"k{number}"}))
    lines += [json.dumps({"task": {"description": ""}, "key": f"bad{number}"}) for number in range(bad)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
