"""The two things a field can be besides a value: not named, and to be cleared."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal


class Mark(Enum):
    """What stands in a field instead of a value; both are falsy."""

    UNSET = "unset"
    CLEAR = "clear"

    def __repr__(self) -> str:
        return self.name

    def __bool__(self) -> bool:
        return False


#: The field is not named: an update leaves it alone, and a resource that was read lacks it.
UNSET: Final = Mark.UNSET
#: The field is to be empty.
CLEAR: Final = Mark.CLEAR

Unset = Literal[Mark.UNSET]
