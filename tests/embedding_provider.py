"""A server on loopback that speaks the embeddings wire, for tests; ``conftest`` makes ``provider`` a fixture."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from tacit.models.hashing import HashingEmbedder


class Provider(ThreadingHTTPServer):
    """Its vectors are those of a hashing embedder, or a scripted answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.model = HashingEmbedder(8)
        self.script: list[tuple[int, bytes]] = []
        self.asked: list[tuple[str, str | None, dict[str, Any]]] = []
        self.refused = ""
        """A call with a text that holds this is refused as a bad request, unless it is empty."""
        self.seconds = 0.0
        """How long each answer takes."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def embedder(self) -> str:
        """The setting that names it."""
        return f"openai:test-model@{self.url}"

    def answer(self, texts: list[str]) -> tuple[int, bytes]:
        if self.script:
            return self.script.pop(0)
        if self.refused and any(self.refused in text for text in texts):
            return 400, b"too long"
        rows = [{"index": row, "embedding": vector.tolist()} for row, vector in enumerate(self.model.embed(texts))]
        return 200, msgspec.json.encode({"data": rows[::-1]})  # the wire does not promise an order

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        body = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers["Authorization"], body))
        time.sleep(self.server.seconds)
        status, content = self.server.answer(body["input"])
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what was asked is kept."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider, provider.serving():
        yield provider
