"""Rows that move while they are read."""

import random
from dataclasses import dataclass

from hypothesis import strategies as st

from kb4_async.protocol.codec import Key

chances = st.integers(0, 2**32).map(random.Random)
#: What happens to the rows, and where, as a fraction of the whole.
changes = st.tuples(
    st.sampled_from(["delete", "insert", "append"]), st.floats(0, 1, exclude_max=True)
)


@dataclass
class Rows:
    """Ascending keys that change; which existed throughout is known."""

    keys: list[Key]
    kept: set[Key]
    top: int

    @classmethod
    def of(cls, length: int) -> "Rows":
        keys: list[Key] = [10 * n for n in range(1, length + 1)]
        return cls(keys, set(keys), 10 * (length + 1))

    def change(self, kind: str, where: float) -> None:
        place = int(where * len(self.keys))
        if kind == "append" or not self.keys:
            self.top += 10
            self.keys.append(self.top)
        elif kind == "delete":
            self.kept.discard(self.keys.pop(place))
        else:
            above, below = self.keys[place], self.keys[place - 1] if place else 0
            assert isinstance(above, int)
            assert isinstance(below, int)
            if above - below > 1:
                self.keys.insert(place, (above + below) // 2)
