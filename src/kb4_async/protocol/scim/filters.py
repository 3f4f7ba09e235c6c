"""The one filter that every SCIM server is expected to know: equality."""

from __future__ import annotations

from kb4_async.protocol import codec


def equals(attribute: str, value: str) -> str | None:
    """``userName eq "a@example.com"`` (RFC 7644, 3.4.2.2).

    Returns:
        None for values with a quote, backslash or control character: escaped as they have to be,
        two of three recorded servers refuse them. Whoever looks for such a one reads the whole
        list.
    """
    if '"' in value or "\\" in value or not value.isprintable():
        return None
    return f"{attribute} eq {codec.encode(value).decode()}"
