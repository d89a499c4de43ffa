"""A virtual environment for each peer, with pinned versions, so that none of them meets another or Tacit."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import msgspec

from tacit.bench.peers.failure import PeerFailed

_INSTALL_SECONDS = 1_800.0
_DONE = "installed.json"
_HERE = Path(__file__).resolve().parent
_NOWHERE = "http://127.0.0.1:9"
"""A proxy that is not there: what a peer would send out goes nowhere."""


class Kind(msgspec.Struct, frozen=True):
    """A peer: its name, what is installed for it, and the file that drives it."""

    name: str
    requirements: tuple[str, ...]
    file: Path


PEERS = (
    Kind("mem0", ("mem0ai==2.2.1", "qdrant-client==1.20.0"), _HERE / "mem0_peer.py"),
    Kind(
        "langgraph",
        (
            "langgraph-checkpoint-sqlite==3.1.2",
            "langgraph-checkpoint==4.3.2",
            "sqlite-vec==0.1.9",
            "pysqlite3-binary==0.5.4.post2",
        ),
        _HERE / "langgraph_peer.py",
    ),
    Kind("lancedb", ("lancedb==0.40.0", "pyarrow==26.0.1"), _HERE / "lancedb_peer.py"),
    Kind("txtai", ("txtai==9.14.0", "faiss-cpu==1.15.1"), _HERE / "txtai_peer.py"),
)
TACIT = Kind("tacit", (), _HERE / "tacit_peer.py")


def python_of(kind: Kind, folder: Path) -> Path:
    """The interpreter of a peer's environment; it is made, and the peer installed, unless that was done before.

    A peer that needs nothing runs on the interpreter of this process.

    Raises:
        PeerFailed: it cannot be installed; the message ends with what the installer said.
    """
    if not kind.requirements:
        return Path(sys.executable)
    place = folder / kind.name
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    done, wanted = place / _DONE, msgspec.json.encode(kind.requirements)
    if done.exists() and done.read_bytes() == wanted:
        return python
    venv.EnvBuilder(with_pip=True, clear=True).create(place)
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    try:
        answer = subprocess.run(
            [*command, *kind.requirements], capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise PeerFailed(f"{kind.name} was not installed within {_INSTALL_SECONDS:.0f} s") from None
    if answer.returncode:
        raise PeerFailed(f"{kind.name} cannot be installed: {_last_line(answer.stderr)}")
    done.write_bytes(wanted)
    return python


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if line.startswith("ERROR")] or lines or ["pip said nothing"]
    return wrong[-1][:300]


def surroundings(home: Path) -> dict[str, str]:
    """The environment variables of a peer's process: nothing of Tacit's, no telemetry, no model to fetch, and a home
    folder of its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TACIT_", "COVERAGE", "PYTHON", "OPENAI_", "LANG", "HF_")) or name == "LANG"
    }
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _NOWHERE)
    return kept | proxies | {
        "HOME": str(home),
        "MEM0_DIR": str(home / "mem0"),
        "MEM0_TELEMETRY": "False",
        "POSTHOG_DISABLED": "1",
        "ANONYMIZED_TELEMETRY": "False",
        "LANGSMITH_TRACING": "false",
        "LANGCHAIN_TRACING_V2": "false",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "OPENAI_API_KEY": "none",
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
