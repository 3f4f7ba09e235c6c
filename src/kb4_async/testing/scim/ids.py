"""The ids of SCIM: opaque, and the same for a record as long as it lives."""

from kb4_async.testing.tables import scramble

SIZE = 1 << 48
ODD = 0x5DEECE66D * 8 + 5
BACK = pow(ODD, -1, SIZE)


class Ids:
    """A two-way street between the origin of a row and its id, without a list of them."""

    def __init__(self, kind: int) -> None:
        """Make ids of one kind, which are none of another."""
        self.kind = kind
        self.shift = scramble(kind, kind, kind)

    def number(self, origin: int) -> int:
        """Return the id as a number, which a double can hold."""
        return (origin * ODD + self.shift) % SIZE

    def text(self, origin: int) -> str:
        """Return the id as it is served."""
        number = self.number(origin)
        text = f"{number:012x}{scramble(self.kind, self.kind, number):016x}{self.kind:04x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def served(self, origin: int, *, numeric: bool) -> str | int:
        """Return the id as a string, or as a JSON number."""
        return self.number(origin) if numeric else self.text(origin)

    def origin(self, text: str) -> int | None:
        """Return the origin of an id, in either form; None if it is no id of this kind."""
        try:
            number = int(text) if text.isdecimal() else int(text.replace("-", "")[:12], 16)
        except ValueError:
            return None
        origin = (number - self.shift) * BACK % SIZE
        return origin if text in {str(self.number(origin)), self.text(origin)} else None
