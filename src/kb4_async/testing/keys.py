"""The keys of a simulated server: whose they are, and what each has used up."""

import hashlib
from collections.abc import Iterable

from kb4_async.testing.account import Account
from kb4_async.testing.answers import Answers
from kb4_async.testing.limits import Gate, Limit
from kb4_async.testing.scim.service import ScimService


class Holder:
    """One key: what it opens, and what it has used up.

    A key opens the Reporting API of an account, a token its SCIM, and what is of another kind
    opens nothing.
    """

    def __init__(
        self, answers: Answers | None, limits: Iterable[Limit], scim: ScimService | None = None
    ) -> None:
        """Start with nothing used."""
        self.answers = answers
        self.scim = scim
        self.gate = Gate(limits)

    def revoke(self) -> None:
        """Open nothing from now on; what was used up stays so."""
        self.answers = self.scim = None


def opened(holder: Holder | None, *, scim: bool) -> Account | None:
    """Return the account a key opens by SCIM or by the Reporting API, if any."""
    service = None if holder is None else holder.scim if scim else holder.answers
    return None if service is None else service.account


class KeyRing:
    """All keys a server knows."""

    def __init__(self) -> None:
        """Start with none."""
        self.holders: dict[str, Holder] = {}
        self.fingerprints: dict[str, str] = {"": ""}

    def add(
        self,
        key: str,
        answers: Answers | None,
        limits: Iterable[Limit],
        scim: ScimService | None = None,
    ) -> str:
        """Know a key, and return what the log calls it."""
        self.holders[key] = Holder(answers, limits, scim)
        return self.fingerprint(key)

    def fingerprint(self, key: str) -> str:
        """Return what the log calls a key."""
        if key not in self.fingerprints:
            self.fingerprints[key] = hashlib.sha256(key.encode()).hexdigest()[:12]
        return self.fingerprints[key]

    def read(self, authorization: str) -> tuple[str, Holder | None]:
        """Return what the log calls the key in a header, and who holds it."""
        scheme, _, credential = authorization.partition(" ")
        key = credential.strip() if scheme.lower() == "bearer" else ""
        return self.fingerprint(key), self.holders.get(key)
