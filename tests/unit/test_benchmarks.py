"""The arithmetic behind the benchmarks' figures, and that no miss of a goal is hidden."""

import itertools
import json
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from support.rate_server import Road
from support.rate_server import clairvoyant_seconds as other_clairvoyant_seconds

from benchmarks.arithmetic import (
    Shape,
    added,
    clairvoyant_seconds,
    deviation,
    pages,
    percentile,
    ratios,
    smallest_number,
)
from benchmarks.figures import Figure, Goal, Table, at_least, at_most
from benchmarks.measure import interleaved
from benchmarks.report import missed, summary, write
from benchmarks.runs.server import PER_PAGE, Pages
from kb4_async.testing import Limit


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (1, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)]
)
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(
    percent: float, expected: float
) -> None:
    values = list(range(100, 0, -1))
    assert percentile(values, percent) == expected


def test_a_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 99) == 7.0


def test_ratios_and_differences_are_taken_inside_a_round() -> None:
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    assert added([2.0, 9.0], [1.0, 3.0]) == [1.0, 6.0]
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])


def test_deviation_is_what_goes_beyond_linear() -> None:
    assert deviation([11.0, 10.0, 9.0], [1.0, 1.0, 1.0], 10) == pytest.approx([0.1, 0.0, -0.1])


@pytest.mark.parametrize(
    ("records", "expected"), [(0, 1), (1, 1), (500, 1), (501, 2), (1000, 2), (20_000, 40)]
)
def test_pages_hold_five_hundred_and_an_empty_listing_is_asked_once(
    records: int, expected: int
) -> None:
    assert pages(records) == expected


def test_the_smallest_number_asks_each_page_once_and_no_empty_child() -> None:
    shape = Shape(listings=[20_000, 200, 0], children=[0, 1, 500, 501, 0], single=2)
    assert smallest_number(shape) == 2 + (40 + 1 + 1) + (1 + 1 + 2)


class TestClairvoyant:
    def test_nothing_takes_no_time(self) -> None:
        assert clairvoyant_seconds(0, [(1000, 60.0)], 0.2, 32) == 0.0

    @pytest.mark.parametrize(("requests", "trips"), [(1, 1), (32, 1), (33, 2), (64, 2), (65, 3)])
    def test_without_windows_it_waits_for_answers_alone(self, requests: int, trips: int) -> None:
        assert clairvoyant_seconds(requests, [], 0.2, 32) == pytest.approx(0.2 * trips)

    def test_the_first_request_beyond_a_window_arrives_one_window_after_the_first(self) -> None:
        assert clairvoyant_seconds(1000, [(1000, 60.0)], 0.2, 1000) == pytest.approx(0.2)
        assert clairvoyant_seconds(1001, [(1000, 60.0)], 0.2, 1000) == pytest.approx(60.2)

    def test_stacked_windows_all_hold(self) -> None:
        both = [(4, 1.0), (50, 60.0)]
        assert clairvoyant_seconds(50, both, 0.2, 32) == pytest.approx(12.2)
        assert clairvoyant_seconds(51, both, 0.2, 32) == pytest.approx(60.2)
        # 51 to 100 follow at the pace of the first fifty.
        assert clairvoyant_seconds(100, both, 0.2, 32) == pytest.approx(72.2)

    @pytest.mark.parametrize("requests", [1, 31, 999, 1000, 1001, 1032, 2999, 3100])
    @pytest.mark.parametrize("latency", [0.02, 0.2, 0.8])
    def test_it_agrees_with_one_written_apart(self, requests: int, latency: float) -> None:
        other = other_clairvoyant_seconds(
            Limit(1000, 60.0), Road(latency, jitter=0.0), total=requests, workers=32
        )
        ours = clairvoyant_seconds(requests, [(1000, 60.0)], latency, 32)
        assert ours == pytest.approx(other)


class TestFigures:
    @pytest.mark.parametrize(
        ("goal", "value", "met"),
        [
            (at_least(0.9), 0.9, True),
            (at_least(0.9), 0.8999, False),  # shown as 0.90
            (at_most(1.3), 1.3, True),
            (at_most(1.3), 1.3001, False),
            (at_most(0), 0, True),
            (at_most(0), 1, False),
        ],
    )
    def test_a_goal_is_held_against_what_was_measured(
        self, *, goal: Goal, value: float, met: bool
    ) -> None:
        assert goal.met(value) is met

    def test_the_median_decides(self) -> None:
        figure = Figure("x", [1.0, 0.1, 2.0], goal=at_least(1.0))
        assert figure.verdict == "met"
        assert figure.cells() == ["x", "1.00", "0.10", "2.00", "x", "at least 1", "met"]

    def test_a_miss_is_told_in_the_row_in_the_summary_and_in_the_data(self) -> None:
        table = Table("T", [], [Figure("f", [1.0], goal=at_least(2, 3)), Figure("g", [1.0])])
        assert "NOT MET" in table.markdown()
        assert "NOT MET" in table.text()
        assert missed([table]) == ["T: f: 1.00 x, goal at least 2 (stretch 3)"]
        assert summary([table])[:2] == ["0 of 1 goals are met.", "Not met:"]

    def test_the_files_hold_every_table_and_round(self, tmp_path: Path) -> None:
        table = Table("T", ["How."], [Figure("f", [1.0, 3.0, 2.0], goal=at_most(1))])
        write(tmp_path, {"python": "3"}, {"part": 1.0}, [table])
        text = (tmp_path / "results.md").read_text(encoding="utf-8")
        data = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
        assert "| f | 2.00 | 1.00 | 3.00 | x | at most 1 | NOT MET |" in text
        assert data["tables"][0]["figures"][0]["rounds"] == [1.0, 3.0, 2.0]
        assert data["tables"][0]["figures"][0]["met"] is False


def test_rounds_are_interleaved_and_begin_with_another_variant_each() -> None:
    order: list[str] = []

    def run(name: str) -> int:
        order.append(name)
        return len(order)

    taken = interleaved(3, {name: partial(run, name) for name in "abc"})
    assert "".join(order) == "abc" + "bca" + "cab"
    assert taken == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


@cache
def served() -> Pages:
    return Pages()


def body(number: int, records: int) -> bytes:
    """The body of a page, as long as its head says."""
    head, _, body = served().page(number, records).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    return body


def users(number: int, records: int) -> list[dict[str, Any]]:
    found = json.loads(body(number, records))
    assert isinstance(found, list)
    return found


class TestServer:
    def test_ids_are_distinct_and_ascend_through_the_listing(self) -> None:
        numbers = [1, 2, 64, 65, 66, 10_000]
        ids = [user["id"] for number in numbers for user in users(number, 5_000_000)]
        assert len(ids) == len(numbers) * PER_PAGE
        assert all(a < b for a, b in itertools.pairwise(ids))

    def test_a_listing_ends_where_it_was_said(self) -> None:
        assert [len(users(number, 1001)) for number in (1, 2, 3, 4)] == [500, 500, 1, 0]

    def test_a_user_is_as_large_as_a_real_one(self) -> None:
        assert len(users(1, 500)[0]) == 30
        assert 840 <= len(body(1, 500)) / PER_PAGE <= 920
