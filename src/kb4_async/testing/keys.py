"""The keys of a simulated server: whose they are, and what each has used up."""

import hashlib
from collections.abc import Iterable

from kb4_async.testing.account import Account
from kb4_async.testing.answers import Answers
from kb4_async.testing.limits import Gate, Limit


class Holder:
    """One key: whose it is, and what it has used up. A key of another kind opens nothing."""

    def __init__(self, answers: Answers | None, limits: Iterable[Limit]) -> None:
        """Start with nothing used."""
        self.answers = answers
        self.gate = Gate(limits)

    @property
    def account(self) -> Account | None:
        """Return the account the key opens, if any."""
        return None if self.answers is None else self.answers.account

    def revoke(self) -> None:
        """Open nothing from now on; what was used up stays so."""
        self.answers = None


class KeyRing:
    """All keys a server knows."""

    def __init__(self) -> None:
        """Start with none."""
        self.holders: dict[str, Holder] = {}
        self.fingerprints: dict[str, str] = {"": ""}

    def add(self, key: str, answers: Answers | None, limits: Iterable[Limit]) -> str:
        """Know a key, and return what the log calls it."""
        self.holders[key] = Holder(answers, limits)
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
