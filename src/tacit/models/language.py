"""Language models over the wire that OpenAI, Ollama, vLLM and many others speak: ``POST …/chat/completions``."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from tacit.learning.assessment.reflection import LanguageModel
from tacit.models.wire import ModelServer

__all__ = ["LanguageModel", "OpenAICompatible"]


class OpenAICompatible:
    """A model behind an OpenAI-compatible server; ``options`` are those of ``ModelServer``, such as ``attempts``.

    Args:
        url: what comes before ``/chat/completions``, such as ``http://localhost:11434/v1``.
        model: the model's name on that server.
        key: the API key, if the server wants one.
        timeout: seconds to wait for the server at each stage of a call.
    """

    def __init__(self, url: str, model: str, key: str | None = None, timeout: float = 30.0, **options: Any) -> None:
        self.name = model
        self._server = ModelServer(url, "chat/completions", model, key, timeout, **options)

    def __repr__(self) -> str:
        return f"OpenAICompatible({self._server.url!r}, {self.name!r})"

    def complete(self, system: str, user: str, *, schema: dict[str, Any] | None = None) -> str:
        """The model's answer at temperature 0; with ``schema`` as JSON, as far as the server can hold it to that.

        Raises:
            ModelError: the server refused, could not be reached, or answered something else.
        """
        body: dict[str, Any] = {
            "model": self.name,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "temperature": 0,
        }
        if schema is not None:
            wanted = {"name": schema.get("title", "answer"), "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        content = self._server.ask(body, _Completion, "a chat completion").choices[0].message.content
        if not content:
            raise self._server.error("gave an empty answer")
        return content


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]
