"""Where the API is: regions, base URLs, and what may be sent unencrypted."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from kb4_async.errors import ConfigurationError

#: KnowBe4's regions; each has its own host and its own keys.
REGIONS = ("us", "eu", "ca", "uk", "de")


#: The Tenant URL of US accounts.
DEFAULT_TENANT_URL = "https://training.knowbe4.com/scim/v2"


@dataclass(frozen=True, slots=True)
class Address:
    """A checked base URL.

    Attributes:
        base_url: Scheme, host, port and path prefix, version included, without a trailing slash.
        origin: Scheme, host and port: what a credential is pinned to.
        region: One of ``REGIONS``, or None for a base URL given as such.
    """

    base_url: str
    origin: str
    region: str | None


def reporting_address(region: str | None, base_url: str | None) -> Address:
    """Choose the Reporting API's address: a region (``us`` by default) or a whole base URL.

    Raises:
        ConfigurationError: Both were given, the region is unknown, or the URL cannot be used.
    """
    if region is not None and base_url is not None:
        msg = "Give either region= or base_url=, not both: base_url replaces the whole address."
        raise ConfigurationError(msg)
    if base_url is not None:
        return parse_base_url(base_url)
    region = "us" if region is None else region.strip().lower()
    if region not in REGIONS:
        msg = (
            f"Unknown region {region!r}: use one of {', '.join(REGIONS)} "
            f"(the host of your console tells which)."
        )
        raise ConfigurationError(msg)
    host = f"https://{region}.api.knowbe4.com"
    return Address(f"{host}/v1", host, region)


def tenant_address(tenant_url: str | None) -> Address:
    """The SCIM server's address: the account's Tenant URL, as the console shows it.

    It is taken as given: public sources disagree on how it follows from a region.

    Raises:
        ConfigurationError: The URL cannot be used.
    """
    return parse_base_url(
        tenant_url if tenant_url is not None else DEFAULT_TENANT_URL,
        what="Tenant URL",
        example=DEFAULT_TENANT_URL,
    )


def parse_base_url(
    text: str, *, what: str = "base URL", example: str = "https://us.api.knowbe4.com/v1"
) -> Address:
    """Check an address given by the user.

    Args:
        text: As given.
        what: What it is, for messages.
        example: One that is right, for messages.

    Raises:
        ConfigurationError: No http(s) URL with a host, or http outside loopback, or holding
            credentials, a query or a fragment.
    """
    shown = text.rpartition("@")[2]  # what stands before may be a password
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
        if any(c.isspace() for c in host or ""):
            raise ValueError("the host holds white space")
    except ValueError as error:
        msg = f"The {what} {shown!r} cannot be read: {error}."
        raise ConfigurationError(msg) from error
    if parts.scheme not in {"http", "https"} or not host:
        msg = f"The {what} {shown!r} needs a scheme and a host, like {example}."
        raise ConfigurationError(msg)
    if parts.username or parts.password or parts.query or parts.fragment:
        msg = f"The {what} holds a user, password, query or fragment: give the plain address alone."
        raise ConfigurationError(msg)
    if parts.scheme == "http" and not is_loopback(host):
        msg = f"The {what} {shown!r} would send the key unencrypted: use https:// outside loopback."
        raise ConfigurationError(msg)
    netloc = f"[{host}]" if ":" in host else host
    if port is not None:
        netloc += f":{port}"
    origin = f"{parts.scheme}://{netloc}"
    return Address(origin + parts.path.rstrip("/"), origin, None)


def is_loopback(host: str) -> bool:
    """Whether a host name or address stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
