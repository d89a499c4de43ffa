"""Language models over the wire that OpenAI, Ollama, vLLM and many others speak: ``POST …/chat/completions``."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tacit.errors import InvalidInput, ModelError
from tacit.learning.reflection import LanguageModel
from tacit.retry import RetryPolicy, retrying

if TYPE_CHECKING:
    import httpx

__all__ = ["LanguageModel", "OpenAICompatible"]

TOO_MANY_REQUESTS = 429
_QUOTED = 200
"""Characters of a provider's answer that an error repeats."""


class OpenAICompatible:
    """A model behind an OpenAI-compatible server.

    Calls that fail in passing (429, 5xx, no connection, no answer in time) are repeated with growing, jittered pauses;
    a ``Retry-After`` of the server is obeyed. The key goes into the request and nowhere else.

    Args:
        url: what comes before ``/chat/completions``, such as ``http://localhost:11434/v1``.
        model: the model's name on that server.
        key: the API key, if the server wants one.
        timeout: seconds to wait for the server at each stage of a call.
        attempts: calls at most, the first included.
        pause: seconds before the second call; it doubles from there.
        longest_pause: seconds; a server that asks for a longer pause is not called again.
    """

    def __init__(
        self,
        url: str,
        model: str,
        key: str | None = None,
        timeout: float = 30.0,
        *,
        attempts: int = 4,
        pause: float = 0.5,
        longest_pause: float = 20.0,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise InvalidInput("the url of a model server starts with http:// or https://", field="url")
        if "@" in url.partition("://")[2].partition("/")[0]:
            raise InvalidInput("the url of a model server must not hold a password; pass it as key", field="url")
        if key is not None and not (key.isascii() and key.isprintable()):
            raise InvalidInput("the key of a model server must be printable ASCII", field="key")
        self.name = model
        self._url = url.rstrip("/") + "/chat/completions"
        self._key = key
        self._timeout = timeout
        self._attempts = attempts
        self._pause = pause
        self._longest_pause = longest_pause

    def __repr__(self) -> str:
        return f"OpenAICompatible({self._url!r}, {self.name!r})"

    def complete(self, system: str, user: str, *, schema: dict[str, Any] | None = None) -> str:
        """The model's answer at temperature 0; with ``schema`` as JSON, as far as the server can hold it to that.

        Raises:
            ModelError: the server refused, could not be reached, or answered something else.
        """
        import httpx

        body: dict[str, Any] = {
            "model": self.name,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "temperature": 0,
        }
        if schema is not None:
            wanted = {"name": schema.get("title", "answer"), "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        try:
            response = self._post(msgspec.json.encode(body))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._error(f"cannot be reached: {type(error).__name__}: {error}") from error
        if response.is_success:
            return self._content(response)
        raise self._error(f"answered {response.status_code}: {response.text[:_QUOTED]}", status=response.status_code)

    def _post(self, body: bytes) -> httpx.Response:
        """The last response, of whatever status; passing failures are repeated first."""
        import httpx

        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        started = time.monotonic()
        policy = RetryPolicy(attempts=self._attempts, first_delay=self._pause, max_delay=self._longest_pause)
        try:
            with httpx.Client(timeout=self._timeout) as client:
                for attempt in retrying(policy, self._wait_after):
                    with attempt:
                        return client.post(self._url, content=body, headers=headers).raise_for_status()
        except httpx.HTTPStatusError as error:
            return error.response
        raise self._error(f"gave no answer in {time.monotonic() - started:.0f} s")

    def _wait_after(self, error: BaseException) -> bool | float:
        """Whether a call is repeated after this error; a number is the seconds to wait first."""
        import httpx

        if not isinstance(error, httpx.HTTPStatusError):
            return isinstance(error, httpx.TransportError)
        status = error.response.status_code
        if status != TOO_MANY_REQUESTS and status < httpx.codes.INTERNAL_SERVER_ERROR:
            return False
        wait = _retry_after(error.response.headers.get("Retry-After", ""))
        return True if wait is None else wait if wait <= self._longest_pause else False

    def _content(self, response: httpx.Response) -> str:
        try:
            content = msgspec.json.decode(response.content, type=_Completion).choices[0].message.content
        except (msgspec.DecodeError, IndexError) as error:
            raise self._error(f"answered something that is not a chat completion: {response.text[:_QUOTED]}") from error
        if not content:
            raise self._error("gave an empty answer")
        return content

    def _error(self, what: str, **context: Any) -> ModelError:
        text = f"the model {self.name} at {self._url} {what}"
        return ModelError(text.replace(self._key, "***") if self._key else text, model=self.name, **context)


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: list[_Choice]


def _retry_after(value: str) -> float | None:
    """The seconds that a Retry-After header asks for (RFC 9110, section 10.2.3); None without one that can be read."""
    try:
        seconds = float(value)
    except ValueError:
        return _seconds_until(value)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
