"""What a client has learned of how its server pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Habits:
    """What is known of a server, shared by all listings of a client.

    Attributes:
        shown: It showed a cursor once, so that the lack of one means the end.
        modes: How each endpoint is paged, by resource.
        sizes: Page sizes smaller than asked for that endpoints keep to, by resource.
    """

    shown: bool = False
    modes: dict[str, Literal["number", "cursor"]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
