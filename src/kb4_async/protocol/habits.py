"""What a client has learned of how its server pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Habits:
    """What is known of a server, shared by all listings of a client.

    Attributes:
        showing: Endpoints, by resource, that showed a cursor: there the lack of one means the end.
        numbers: Some endpoint gave a second page that was not the first again.
        modes: How to begin to read each endpoint, by resource.
        sizes: Page sizes smaller than asked for that endpoints keep to, by resource.
    """

    numbers: bool = False
    showing: set[str] = field(default_factory=set)
    modes: dict[str, Literal["number", "cursor"]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
