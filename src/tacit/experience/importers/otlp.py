"""The spans of an OTLP JSON document as plain values: attributes decoded, ids in hex, times in nanoseconds.

The shape is that of the OpenTelemetry protocol's JSON encoding. Field names in camelCase and snake_case, ids in hex
and base64, and 64-bit numbers as numbers and strings are all read, since exporters differ.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import msgspec

from tacit.errors import InvalidInput
from tacit.experience.importers.fields import list_of, object_of
from tacit.experience.importers.files import decode

_CAMEL_OF_SNAKE = {
    "resourceSpans": "resource_spans",
    "scopeSpans": "scope_spans",
    "traceId": "trace_id",
    "spanId": "span_id",
    "parentSpanId": "parent_span_id",
    "startTimeUnixNano": "start_time_unix_nano",
    "endTimeUnixNano": "end_time_unix_nano",
    "stringValue": "string_value",
    "boolValue": "bool_value",
    "intValue": "int_value",
    "doubleValue": "double_value",
    "arrayValue": "array_value",
    "kvlistValue": "kvlist_value",
    "bytesValue": "bytes_value",
}
_TRACE_ID_BYTES = 16
_SPAN_ID_BYTES = 8
_OK = (1, "1", "STATUS_CODE_OK")
_ERROR = (2, "2", "STATUS_CODE_ERROR")


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One span. Times are nanoseconds since 1970 UTC, 0 when missing; ``ok`` None is a status left unset."""

    trace: str
    id: str
    parent: str
    name: str
    start: int
    end: int
    ok: bool | None
    message: str
    attributes: dict[str, Any]
    events: tuple[tuple[str, dict[str, Any]], ...]

    @property
    def operation(self) -> str:
        return str(self.attributes.get("gen_ai.operation.name") or "")

    @property
    def error(self) -> str:
        """What went wrong in the span's own words, or "" when it reports no error."""
        told: list[Any] = [self.attributes.get("error.type")]
        for name, attributes in self.events:
            if name == "exception":
                told += [attributes.get("exception.type"), attributes.get("exception.message")]
        if self.ok is False:
            told.append(self.message)
        words = dict.fromkeys(str(word) for word in told if word)
        return ": ".join(words) or ("error" if self.ok is False else "")


def spans_of(document: Any) -> Iterator[Span]:
    """The spans of one OTLP document. Raises InvalidInput when it is not one."""
    fields = object_of(document, "an OTLP document")
    groups = _get(fields, "resourceSpans")
    if not isinstance(groups, list):
        raise InvalidInput("holds no resourceSpans, so it is no OTLP trace document")
    for group in groups:
        for scope in list_of(_get(object_of(group, "resourceSpans"), "scopeSpans"), "scopeSpans"):
            for span in list_of(object_of(scope, "scopeSpans").get("spans"), "spans"):
                yield _span(object_of(span, "a span"))


def _span(fields: dict[str, Any]) -> Span:
    status = fields.get("status") or {}
    code = object_of(status, "the status of a span").get("code")
    trace = _id(_get(fields, "traceId"), _TRACE_ID_BYTES)
    if not trace:
        raise InvalidInput("holds a span without a traceId")
    return Span(
        trace=trace,
        id=_id(_get(fields, "spanId"), _SPAN_ID_BYTES),
        parent=_id(_get(fields, "parentSpanId"), _SPAN_ID_BYTES),
        name=str(fields.get("name") or ""),
        start=_number(_get(fields, "startTimeUnixNano")),
        end=_number(_get(fields, "endTimeUnixNano")),
        ok=True if code in _OK else False if code in _ERROR else None,
        message=str(status.get("message") or ""),
        attributes=_attributes(fields.get("attributes")),
        events=tuple(
            (str(event.get("name") or ""), _attributes(event.get("attributes")))
            for event in list_of(fields.get("events"), "events")
            if isinstance(event, dict)
        ),
    )


def structured(value: Any) -> Any:
    """An attribute that may hold structure either as such or as its JSON text; other text stays as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    try:
        return decode(value.encode())
    except InvalidInput:
        return value  # text that merely begins with a bracket


def _get(fields: dict[str, Any], name: str) -> Any:
    return fields[name] if name in fields else fields.get(_CAMEL_OF_SNAKE[name])


def _attributes(pairs: Any) -> dict[str, Any]:
    if not isinstance(pairs, list):
        return {}
    return {str(pair["key"]): _value(pair.get("value")) for pair in pairs if isinstance(pair, dict) and "key" in pair}


def _value(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    for name in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
        if (found := _get(value, name)) is not None:
            return found
    if (whole := _get(value, "intValue")) is not None:
        return _number(whole)
    if (array := _get(value, "arrayValue")) is not None:
        return [_value(inner) for inner in list_of(object_of(array, "arrayValue").get("values"), "values")]
    if (pairs := _get(value, "kvlistValue")) is not None:
        return _attributes(object_of(pairs, "kvlistValue").get("values"))
    return None


def _number(value: Any) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{value!r} should be a whole number") from error


def _id(value: Any, size: int) -> str:
    """The id in lower-case hex, from hex or base64; one of zeros only is no id."""
    text = str(value or "").strip()
    if len(text) != 2 * size:
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        text = raw.hex() if len(raw) == size else text
    return text.lower() if text.strip("0") else ""
