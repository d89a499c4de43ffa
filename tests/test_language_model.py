"""The language-model client against a real server on loopback that speaks the wire, with scripted replies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from tacit.errors import InvalidInput, ModelError
from tacit.experience.episode import Episode, Outcome, Step, Task
from tacit.learning.assessment.reflection import reflect_by_model
from tacit.models.language import OpenAICompatible

pytestmark = pytest.mark.requirement("EP-04")

KEY = "k-1234567890-secret"
Reply = tuple[int, dict[str, str], bytes]


class ModelServer(ThreadingHTTPServer):
    """Gives its replies one after the other, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[Reply] = []
        self.asked: list[tuple[str, dict[str, str], Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: ModelServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, dict(self.headers), msgspec.json.decode(body)))
        status, headers, content = self.server.replies.pop(0)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what was asked is kept."""


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def client(server: ModelServer, **options: Any) -> OpenAICompatible:
    return OpenAICompatible(server.url, "test-model", key=KEY, timeout=5, pause=0.001, **options)


def good(content: str | None) -> Reply:
    return 200, {}, msgspec.json.encode({"choices": [{"message": {"role": "assistant", "content": content}}]})


def refused(status: int, **headers: str) -> Reply:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, b'{"error": "no"}'


def test_a_completion_is_asked_for_on_the_wire_as_documented(server: ModelServer) -> None:
    server.replies = [good("hello")]
    schema = {"title": "answer", "type": "object"}
    assert client(server).complete("be brief", "say hello", schema=schema) == "hello"
    ((path, headers, body),) = server.asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body["model"] == "test-model"
    assert body["temperature"] == 0
    assert [(message["role"], message["content"]) for message in body["messages"]] == [
        ("system", "be brief"),
        ("user", "say hello"),
    ]
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": True},
    }


def test_without_a_schema_or_key_neither_is_sent(server: ModelServer) -> None:
    server.replies = [good("hello")]
    OpenAICompatible(server.url + "/", "test-model").complete("a", "b")
    ((_, headers, body),) = server.asked
    assert "response_format" not in body
    assert "Authorization" not in headers


@pytest.mark.parametrize("passing", [refused(429, Retry_After="0"), refused(500), refused(503, Retry_After="nonsense")])
def test_a_passing_refusal_is_tried_again(server: ModelServer, passing: Reply) -> None:
    server.replies = [passing, good("at last")]
    assert client(server).complete("a", "b") == "at last"
    assert len(server.asked) == 2


def test_the_pause_that_the_server_asks_for_is_obeyed(server: ModelServer) -> None:
    server.replies = [refused(429, Retry_After="0.05"), good("at last")]
    model = client(server)
    waits: list[bool | float] = []
    decide = model._server._wait_after
    model._server._wait_after = lambda error: waits.append(decide(error)) or waits[-1]  # type: ignore[func-returns-value,method-assign]
    assert model.complete("a", "b") == "at last"
    assert set(waits) == {0.05}


@pytest.mark.parametrize("pause", ["3600", format_datetime(datetime.now(UTC) + timedelta(hours=1))], ids=["s", "date"])
def test_a_server_that_asks_for_too_long_a_pause_is_not_asked_again(server: ModelServer, pause: str) -> None:
    server.replies = [refused(429, Retry_After=pause)]
    with pytest.raises(ModelError, match="429") as caught:
        client(server).complete("a", "b")
    assert caught.value.context["status"] == 429
    assert len(server.asked) == 1


def test_a_server_that_keeps_failing_is_given_up_after_the_stated_attempts(server: ModelServer) -> None:
    server.replies = [refused(500)] * 5
    with pytest.raises(ModelError, match="answered 500"):
        client(server, attempts=3).complete("a", "b")
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_for_good_is_not_tried_again(server: ModelServer, status: int) -> None:
    server.replies = [refused(status)]
    with pytest.raises(ModelError, match=f"test-model at .* answered {status}"):
        client(server).complete("a", "b")
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((200, {}, b"<html>sign in</html>"), "not a chat completion"),
        ((200, {}, b'{"choices": []}'), "not a chat completion"),
        (good(None), "empty answer"),
        (good(""), "empty answer"),
    ],
)
def test_an_answer_that_is_no_completion_is_an_error(server: ModelServer, reply: Reply, words: str) -> None:
    server.replies = [reply]
    with pytest.raises(ModelError, match=words):
        client(server).complete("a", "b")


def test_a_server_that_is_not_there_is_an_error_that_says_so() -> None:
    with ModelServer() as gone:
        url = gone.url
    with pytest.raises(ModelError, match="cannot be reached"):
        OpenAICompatible(url, "test-model", attempts=2, pause=0.001).complete("a", "b")


def test_the_key_is_in_no_error_log_line_or_representation(
    server: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.replies = [refused(500), (401, {}, f"bad key {KEY}".encode())]
    model = client(server)
    with pytest.raises(ModelError) as caught:
        model.complete("a", "b")
    assert "***" in caught.value.message
    assert any(line.name == "tacit.retry" for line in caplog.records)
    assert KEY not in repr((caught.value.as_dict(), [vars(line) for line in caplog.records], model))


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("localhost:11434", None),
        ("https://me:pw@example.org/v1", None),
        ("http://localhost", "a\nb"),
        ("http://a", "ключ"),
    ],
)
def test_a_url_or_key_that_cannot_work_is_refused_at_once(url: str, key: str | None) -> None:
    with pytest.raises(InvalidInput):
        OpenAICompatible(url, "test-model", key)


EPISODE = Episode(
    id="e", mind="m", task=Task(description="find it"), status="success", started_at_micros=0,
    steps=(Step(tool="look", status="success"),), outcome=Outcome(kind="success"), step_events=("event-1",),
)  # fmt: skip


def reflection(step: int) -> str:
    return f'{{"successes": [{{"text": "Looked first.", "steps": [{step}]}}], "improvements": [], "insights": []}}'


def test_a_reflection_comes_over_the_wire(server: ModelServer) -> None:
    server.replies = [good(reflection(step=1))]
    found = reflect_by_model(EPISODE, client(server))
    assert (found.source, found.model, found.successes[0].evidence) == ("model", "test-model", ("event-1",))
    assert server.asked[0][2]["response_format"]["json_schema"]["name"] == "reflection"


@pytest.mark.parametrize("content", ["Looks fine to me!", reflection(step=2)])
def test_garbage_and_invented_steps_over_the_wire_are_rejected(server: ModelServer, content: str) -> None:
    server.replies = [good(content)]
    with pytest.raises(ModelError, match="rejected"):
        reflect_by_model(EPISODE, client(server))
