"""Calls to a model server over HTTP: passing failures are repeated with pauses, and the key is told to nobody else."""

from __future__ import annotations

import logging
import math
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from tacit.errors import InvalidInput, ModelError
from tacit.retry import RetryPolicy, retrying
from tacit.stores.forking import GATE

if TYPE_CHECKING:
    import httpx

TOO_MANY_REQUESTS = 429
_SERVERS_FAULT = 500
CONNECT_SECONDS = 5.0
"""So long a server may take to accept a connection, which is no matter of what it is asked."""
_QUOTED = 200
"""Characters of a provider's answer that an error repeats."""

Answer = TypeVar("Answer")


class ModelServer:
    """One endpoint of an OpenAI-compatible server, and the model that is asked for there.

    Calls that fail in passing (429, 5xx, no connection, no answer in time) are repeated with growing, jittered pauses;
    a ``Retry-After`` of the server is obeyed. The key goes into the request and nowhere else.

    Args:
        url: what comes before the endpoint, such as ``http://localhost:11434/v1``.
        endpoint: such as ``chat/completions``.
        model: the model's name on that server.
        key: the API key, if the server wants one.
        timeout: seconds to wait for the server at each stage of a call.
        attempts: calls at most, the first included.
        pause: seconds before the second call; it doubles from there.
        longest_pause: seconds; a server that asks for a longer pause is not called again.
        retry_level: of the lines in the log that say that a call is repeated.
    """

    def __init__(
        self,
        url: str,
        endpoint: str,
        model: str,
        key: str | None = None,
        timeout: float = 30.0,
        *,
        attempts: int = 4,
        pause: float = 0.5,
        longest_pause: float = 20.0,
        retry_level: int = logging.WARNING,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise InvalidInput("the url of a model server starts with http:// or https://", field="url")
        if "@" in url.partition("://")[2].partition("/")[0]:
            raise InvalidInput("the url of a model server must not hold a password; pass it as key", field="url")
        if key is not None and not (key.isascii() and key.isprintable()):
            raise InvalidInput("the key of a model server must be printable ASCII", field="key")
        self.model = model
        self.url = f"{url.rstrip('/')}/{endpoint}"
        self._key = key
        self._timeout = timeout
        self._attempts = attempts
        self._pause = pause
        self._longest_pause = longest_pause
        self._retry_level = retry_level

    def ask(self, body: dict[str, Any], answer: type[Answer], what: str) -> Answer:
        """The server's answer to ``body``, read as ``answer``; errors call that ``what``, such as "a chat completion".

        Raises:
            ModelError: the server refused, could not be reached, or answered something else.
        """
        with GATE.entered():  # a child would wait for ever for an import that has only begun
            import httpx

        try:
            response = self._post(msgspec.json.encode(body))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self.error(f"cannot be reached: {type(error).__name__}: {error}", unreachable=True) from error
        quoted = response.text[:_QUOTED]
        if not response.is_success:
            status = response.status_code
            raise self.error(
                f"answered {status}: {quoted}", status=status, **({"unreachable": True} if _passing(status) else {})
            )
        try:
            return msgspec.json.decode(response.content, type=answer)
        except msgspec.DecodeError as error:
            raise self.error(f"answered something that is not {what}: {quoted}") from error

    def error(self, what: str, **context: Any) -> ModelError:
        """A ``ModelError`` that names the model and its address; should the text hold the key, it is masked."""
        text = f"the model {self.model} at {self.url} {what}"
        return ModelError(text.replace(self._key, "***") if self._key else text, model=self.model, **context)

    def _post(self, body: bytes) -> httpx.Response:
        """The last response, of whatever status; passing failures are repeated first."""
        import httpx

        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        started = time.monotonic()
        policy = RetryPolicy(attempts=self._attempts, first_delay=self._pause, max_delay=self._longest_pause)
        try:
            timeout = httpx.Timeout(self._timeout, connect=min(self._timeout, CONNECT_SECONDS))
            with httpx.Client(timeout=timeout) as client:
                for attempt in retrying(policy, self._wait_after, level=self._retry_level):
                    with attempt:
                        return client.post(self.url, content=body, headers=headers).raise_for_status()
        except httpx.HTTPStatusError as error:
            return error.response
        raise self.error(f"gave no answer in {time.monotonic() - started:.0f} s", unreachable=True)

    def _wait_after(self, error: BaseException) -> bool | float:
        """Whether a call is repeated after this error; a number is the seconds to wait first."""
        import httpx

        if not isinstance(error, httpx.HTTPStatusError):
            return isinstance(error, httpx.TransportError)
        status = error.response.status_code
        if not _passing(status):
            return False
        wait = _retry_after(error.response.headers.get("Retry-After", ""))
        return True if wait is None else wait if wait <= self._longest_pause else False


def _passing(status: int) -> bool:
    """Whether a status says that the server is busy or broken, which may pass, and not that it refuses the call."""
    return status == TOO_MANY_REQUESTS or status >= _SERVERS_FAULT


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
