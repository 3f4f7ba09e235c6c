"""What was left out of the input, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rejected:
    """Something of the input that was left out.

    Attributes:
        place: Where it stands: ``line 17`` or ``item 17``.
        reason: Why, in one sentence.
        name: The userName or the group's name, where it is known.
    """

    place: str
    reason: str
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.place}{f' ({self.name})' if self.name else ''}: {self.reason}"
