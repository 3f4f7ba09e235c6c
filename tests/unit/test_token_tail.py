"""A token holds the last page as it was first seen, so what moved before a kill is noticed."""

import pytest
from support.moving import Rows
from support.paging_server import PagingServer, read

from kb4_async.protocol.paging import NumberedListing
from kb4_async.protocol.reader import Reader


@pytest.mark.parametrize("kill_after", [None, 7, 10, 13])
def test_a_row_that_went_before_a_kill_is_noticed_after_it(kill_after: int | None) -> None:
    """20 pages: a row of page 1 goes once the end was seen and page 5 was read."""
    rows = Rows.of(98)

    def on_ask(machine: Reader) -> None:
        assert isinstance(machine, NumberedListing)
        if machine.position == 6 and machine.search.end is not None and len(rows.keys) == 98:
            rows.change("delete", 0.0)

    last = read(PagingServer(rows.keys), per_page=5, ahead=1, kill_after=kill_after, on_ask=on_ask)
    keys = last.keys
    if last.end == "killed":
        last = read(PagingServer(rows.keys), per_page=5, ahead=1, place=last.places[-1])
        keys = keys + last.keys
    assert len(rows.keys) == 97
    assert last.proven
    assert rows.kept <= set(keys)
