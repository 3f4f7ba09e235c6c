"""What changes in an account while it is read, scripted request by request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kb4_async.testing.account import Account
from kb4_async.testing.log import LoggedRequest
from kb4_async.testing.matching import RequestRule
from kb4_async.testing.tables import Table

Change: TypeAlias = Callable[[Account], object]
Rows: TypeAlias = str | Callable[[Account], Table]
Place: TypeAlias = Literal["front", "middle", "end"] | int


@dataclass(slots=True, eq=False)
class DriftRule(RequestRule):
    """When an account changes; `ran` counts how often it did."""

    change: Change
    ran: int = 0

    def runs(self, entry: LoggedRequest) -> bool:
        """Decide whether the change is made after this request, and count it."""
        if self.is_spent(self.ran) or not self.fits(entry):
            return False
        self.seen += 1
        if self.seen < self.after:
            return False
        self.ran += 1
        return True


class DriftScript:
    """The changes of the accounts of one simulator."""

    def __init__(self) -> None:
        """Start without changes."""
        self.rules: list[DriftRule] = []

    def add(
        self,
        change: Change,
        *,
        path: str | None = None,
        page: int | None = None,
        method: str | None = None,
        where: Callable[[LoggedRequest], bool] | None = None,
        after: int = 1,
        times: int | None = 1,
    ) -> DriftRule:
        """Change the account that is read, between two requests.

        The request that sets it off is answered as if nothing had happened, the next one sees
        the change. Requests that were refused, for their key or their rate, set nothing off.

        Args:
            change: called with the account: `delete_row("users", "front")`, or any function.
            path: the end of the path (`users`, `groups/*/members`).
            page: the page asked for; a request that names neither page nor cursor asks for page 1.
            method: the HTTP method.
            where: any other condition on the request.
            after: the fitting request after which it happens first, counted from 1.
            times: how often at most, after one fitting request each; None for ever.
        """
        rule = DriftRule(
            change, path=path, page=page, method=method, where=where, after=after, times=times
        )
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Change nothing from now on."""
        self.rules.clear()

    def answered(self, entry: LoggedRequest, account: Account) -> None:
        """Make the changes that follow a request."""
        for rule in self.rules:
            if rule.runs(entry):
                rule.change(account)


def delete_row(rows: Rows, place: Place = "front") -> Change:
    """Return a change that deletes the row at a place.

    Args:
        rows: the name of a table of the account, or what finds one
            (`lambda account: account.recipients[pst_id]`).
        place: `front`, `middle`, `end` or a number from 0.
    """

    def change(account: Account) -> None:
        table = table_of(account, rows)
        table.delete(table.key_at(place_in(table, place)))

    return change


def insert_row(rows: Rows, place: Place = "front", **fields: object) -> Change:
    """Return a change that puts in a row like the table's last, with a key higher than all.

    Args:
        rows: the name of a table of the account, or what finds one.
        place: `front`, `middle`, `end` or a number from 0.
        fields: what the row has else than the last.
    """

    def change(account: Account) -> None:
        table = table_of(account, rows)
        table.add(place=None if place == "end" else place_in(table, place), **fields)

    return change


def update_row(rows: Rows, place: Place = "front", **fields: object) -> Change:
    """Return a change that gives the row at a place other fields.

    Args:
        rows: the name of a table of the account, or what finds one.
        place: `front`, `middle`, `end` or a number from 0.
        fields: the new values.
    """

    def change(account: Account) -> None:
        table = table_of(account, rows)
        table.update(table.key_at(place_in(table, place)), **fields)

    return change


def table_of(account: Account, rows: Rows) -> Table:
    """Return the table that is meant."""
    table = getattr(account, rows) if isinstance(rows, str) else rows(account)
    if not isinstance(table, Table):
        message = f"{rows!r} is no table of an account"
        raise TypeError(message)
    return table


def place_in(table: Table, place: Place) -> int:
    """Return a place as a number."""
    if isinstance(place, int):
        return place
    return {"front": 0, "middle": len(table) // 2, "end": len(table) - 1}[place]
