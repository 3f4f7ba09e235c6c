"""A credential that cannot reach a log by accident, and the checks made before it is used."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, NoReturn

from kb4_async.errors import ConfigurationError
from kb4_async.protocol import codec


class Secret:
    """A key or token. Its ``repr`` and ``str`` are fixed and it does not pickle."""

    __slots__ = ("fingerprint", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        #: First 16 hex digits of the SHA-256: tells keys apart without telling them.
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        msg = "A credential is not pickled."
        raise TypeError(msg)


def check_secret(text: str | None, *, what: str, sources: str) -> Secret:
    """Make a ``Secret`` of what the user gave, or say what is wrong with it.

    Args:
        text: The credential as given or read; surrounding white space is dropped.
        what: What it is, for the message: ``"Reporting API key"``.
        sources: Where it can come from, for the message.

    Raises:
        ConfigurationError: It is missing, or holds characters that no HTTP header can carry.
    """
    text = (text or "").strip("\ufeff \t\r\n")
    if not text:
        msg = f"No {what} was given: set {sources}."
        raise ConfigurationError(msg)
    # A line break would end the header (and could begin another); the rest no key ever holds.
    if not (text.isascii() and text.isprintable()) or " " in text:
        msg = (
            f"The {what} holds a line break, space or other character that a key never holds: "
            f"copy it again, whole and alone, into {sources}."
        )
        raise ConfigurationError(msg)
    return Secret(text)


def read_claims(key: str) -> dict[str, Any]:
    """The claims of a JSON Web Token; empty if it is none."""
    parts = key.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = codec.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
