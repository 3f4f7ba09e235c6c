"""Taking a credential out of a text that a server sent, also where the server spelled it anew."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

MASK = "***"
#: Shorter spellings than this stand in other words by chance.
SHORTEST = 8


def mask(text: str, secret: str) -> str:
    """A text without the credential, which servers echo as it is, or as JSON, an address or base64
    has it.

    Args:
        text: What was sent.
        secret: The credential; empty for none.
    """
    if not secret:
        return text
    for form in forms(secret):
        text = text.replace(form, MASK)
    return text


def forms(secret: str) -> list[str]:
    """The ways in which a credential may be spelled, the longest first."""
    address = quote(secret, safe="")
    found = {
        secret.replace("/", "\\/"),  # as JSON may have a slash
        "".join(f"\\u{ord(each):04x}" for each in secret),
        address,
        "".join(part.lower() if part[:1] == "%" else part for part in in_parts(address)),
    }
    # Behind "Bearer " the same bytes come out otherwise; padding may be left out.
    for each in (secret.encode(), f"Bearer {secret}".encode()):
        found |= {code(each).decode().rstrip("=") for code in (b64encode, urlsafe_b64encode)}
    found = {secret, *(each for each in found if len(each) >= SHORTEST)}
    return sorted(found, key=len, reverse=True)


def in_parts(address: str) -> list[str]:
    """A percent-encoded text, its escapes apart from what is between them."""
    first, *others = address.split("%")
    return [first, *(part for each in others for part in (f"%{each[:2]}", each[2:]))]
