"""What a benchmark found: figures with their rounds, their goals, and whether these are met."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Goal:
    """What the median of a figure is to be.

    Attributes:
        kind: Whether the bound is the least or the most.
        bound: The bound.
        stretch: A better one that is wished for, where there is one.
    """

    kind: Literal["at least", "at most"]
    bound: float
    stretch: float | None = None

    def met(self, value: float) -> bool:
        """Whether a median meets it, unrounded."""
        return value >= self.bound if self.kind == "at least" else value <= self.bound

    def __str__(self) -> str:
        text = f"{self.kind} {self.bound:g}"
        return text if self.stretch is None else f"{text} (stretch {self.stretch:g})"


def at_least(bound: float, stretch: float | None = None) -> Goal:
    """A goal from below."""
    return Goal("at least", bound, stretch)


def at_most(bound: float) -> Goal:
    """A goal from above."""
    return Goal("at most", bound)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of a table.

    Attributes:
        what: What was measured, for people.
        rounds: The value of each round.
        unit: What it is counted in; ``x`` for a ratio.
        goal: What the median is to be.
        digits: Digits behind the point.
    """

    what: str
    rounds: Sequence[float]
    unit: str = "x"
    goal: Goal | None = None
    digits: int = 2

    @property
    def median(self) -> float:
        """The middle one of the rounds."""
        return statistics.median(self.rounds)

    @property
    def verdict(self) -> str:
        """Whether the goal is met; empty without one."""
        if self.goal is None:
            return ""
        return "met" if self.goal.met(self.median) else "NOT MET"

    def cells(self) -> list[str]:
        """The row as text."""
        low, high = min(self.rounds), max(self.rounds)
        numbers = [f"{value:,.{self.digits}f}" for value in (self.median, low, high)]
        if len(self.rounds) == 1:
            numbers[1:] = ["", ""]
        goal = "" if self.goal is None else str(self.goal)
        return [self.what, *numbers, self.unit, goal, self.verdict]

    def to_json(self) -> dict[str, Any]:
        """The row as data, every round included."""
        found: dict[str, Any] = {"what": self.what, "unit": self.unit, "median": self.median}
        found["rounds"] = list(self.rounds)
        if self.goal is not None:
            found["goal"] = {"kind": self.goal.kind, "bound": self.goal.bound}
            found["met"] = self.goal.met(self.median)
        return found


HEADINGS = ["", "median", "lowest", "highest", "unit", "goal", "verdict"]
ALIGN = ["---", "---:", "---:", "---:", "---", "---", "---"]


@dataclass(frozen=True, slots=True)
class Table:
    """Figures that belong together.

    Attributes:
        title: What they are about.
        notes: How they were had, one sentence or more each.
        figures: The rows.
    """

    title: str
    notes: Sequence[str]
    figures: Sequence[Figure]

    def text(self) -> str:
        """The table for a terminal."""
        rows = [HEADINGS, *(figure.cells() for figure in self.figures)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
        lines = [self.title, *(f"  {note}" for note in self.notes)]
        for row in rows:
            cells = [
                cell.rjust(width) if align == "---:" else cell.ljust(width)
                for cell, width, align in zip(row, widths, ALIGN, strict=True)
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines) + "\n"

    def markdown(self) -> str:
        """The table for ``results.md``."""
        rows = [HEADINGS, ALIGN, *(figure.cells() for figure in self.figures)]
        lines = [f"## {self.title}", "", *self.notes, ""]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Any]:
        """The table as data."""
        figures = [figure.to_json() for figure in self.figures]
        return {"title": self.title, "notes": list(self.notes), "figures": figures}


class Part(Protocol):
    """Measures one part of the benchmarks."""

    def __call__(self, *, quick: bool) -> list[Table]:
        """Make its tables, of fewer rounds if it is to be quick."""
