"""What became of a write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from kb4_async.errors import KB4Error
from kb4_async.protocol.scim.changes import Change

#: ``created``, ``adopted`` (it was there after all: a lost answer, or somebody else), ``updated``,
#: ``unchanged``, ``reactivated`` and ``deactivated`` hold now. ``failed``: nothing was done.
#: ``unknown``: it may have been done; the next run finds out. ``conflict``: somebody has to decide.
Result = Literal[
    "created",
    "adopted",
    "updated",
    "unchanged",
    "reactivated",
    "deactivated",
    "failed",
    "unknown",
    "conflict",
]
TROUBLE: frozenset[Result] = frozenset({"failed", "unknown", "conflict"})

Kind = Literal["user", "group", "members"]


@dataclass(frozen=True, slots=True)
class ScimOutcome:
    """What became of one user, group, or group's members.

    A result that holds means that the server accepted it. In KnowBe4's Test Mode it accepts
    everything and changes nothing: ``ScimWriter.verify`` looks in the Reporting API.

    Attributes:
        result: One of ``created adopted updated unchanged reactivated deactivated failed unknown
            conflict``.
        kind: ``user``, ``group`` or ``members``.
        name: ``userName``, or the group's ``displayName``.
        id: The server's id, where it is known.
        changes: What was changed, or would have to be.
        added: Ids of members added.
        removed: Ids of members removed.
        unconfirmed: Attributes that the server accepted but does not show.
        requests: Requests it took.
        detail: Why, in one sentence, where something is to be said.
        error: The error of ``failed`` and ``unknown``.
    """

    result: Result
    kind: Kind
    name: str
    id: str | None = None
    changes: tuple[Change, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()
    requests: int = 0
    detail: str = ""
    error: KB4Error | None = None

    @property
    def ok(self) -> bool:
        """Whether what was wanted holds now, as far as the server says."""
        return self.result not in TROUBLE

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it; what is empty is left out."""
        found: dict[str, Any] = {
            "result": self.result,
            "kind": self.kind,
            "name": self.name,
            "id": self.id,
            "changes": [
                {"attribute": each.attribute, "before": each.before, "after": each.after}
                for each in self.changes
            ],
            "added": list(self.added),
            "removed": list(self.removed),
            "unconfirmed": list(self.unconfirmed),
            "requests": self.requests,
            "detail": self.detail,
            "error": None if self.error is None else type(self.error).__name__,
        }
        return {name: value for name, value in found.items() if value not in (None, [], "")}
