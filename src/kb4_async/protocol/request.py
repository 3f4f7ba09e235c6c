"""Building a request: everything about it that is decided before a socket is involved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from kb4_async.errors import ConfigurationError

#: A query parameter as a caller gives it.
Value = str | int | bool


@dataclass(frozen=True, slots=True)
class Request:
    """One request, without credential.

    Attributes:
        method: HTTP method.
        path: Path below the base URL, segments quoted, without a leading slash.
        query: Query parameters in the order they are sent.
        body: What is sent, in the dialect's content type; None for nothing.
        headers: Further headers.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def writes(self) -> bool:
        """Whether sending it twice may do something twice."""
        return self.method != "GET"

    def url(self, base_url: str) -> str:
        """Return the whole URL below a base URL, whose own path is kept."""
        url = f"{base_url}/{self.path}"
        # A space as %20, which every server reads; as + it is a plus sign to some.
        return f"{url}?{urlencode(self.query, quote_via=quote)}" if self.query else url


def fill_path(template: str, values: Mapping[str, str | int]) -> str:
    """Fill ``groups/{group_id}/members``, each value quoted as one path segment.

    Raises:
        ConfigurationError: A value is empty or a dot segment, which would name another resource.
    """
    return "/".join(
        quote_segment(part[1:-1], values[part[1:-1]]) if part.startswith("{") else part
        for part in template.split("/")
    )


def quote_segment(name: str, value: str | int) -> str:
    """Quote one path segment so that it stays one."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        msg = f"{name} is an integer or a string, not {type(value).__name__}."
        raise ConfigurationError(msg)
    text = str(value)
    if text.strip() in {"", ".", ".."}:
        msg = f"{name} is {text!r}, which names no record: give the id as the API serves it."
        raise ConfigurationError(msg)
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        msg = f"{name} is {text!r}, which is no text: give the id as the API serves it."
        raise ConfigurationError(msg) from error


def query_text(value: Value) -> str:
    """Write a parameter's value as the API expects it (booleans in lower case)."""
    return str(value).lower() if isinstance(value, bool) else str(value)
