import base64
import zlib
from typing import Any

import pytest

from kb4_async.errors import CheckpointMismatchError, ConfigurationError
from kb4_async.protocol import codec
from kb4_async.protocol.cursors import Cursor
from kb4_async.protocol.token import Identity, Place, read_token, write_token

IDENTITY = Identity("members", {"group_id": 789}, {"status": "active"}, 500)
PLACE = Place(
    number=4,
    lo=8,
    hi=16,
    full_seen=True,
    size=100,
    rows=300,
    edges=[(1, 100), (205, 310), (2**80, 2**80 + 7)],
    edges_known=3,
    moved=False,
    last=(2**80, 2**80 + 7, 100),
)


@pytest.mark.parametrize(
    "place",
    [
        Place(),
        PLACE,
        PLACE._replace(moved=True, hi=None, last=None),
        PLACE._replace(rereading=True),
        PLACE._replace(edges=[], edges_known=0, last=("a\u00e9", "b", 3), blind=True),
        PLACE._replace(last=(None, None, 2)),
        Place(rows=20_000, size=500, end_reason="short_page"),
        Place(rows=20_000, size=500, end_reason="cursor_absent"),
        PLACE._replace(cut=17),
        Place(number=7, mode="cursor", anchor=Cursor("abc"), size=500, rows=3000, blind=True),
        Place(number=2, mode="cursor", anchor=Cursor("cursor=a%26b&x=", link=True), size=500),
        Place(number=2, mode="cursor", anchor=Cursor(str(2**80)), size=500, cut=3),
        Place(mode="cursor", size=500),
    ],
)
def test_a_place_is_read_as_it_was_written(place: Place) -> None:
    token = write_token(IDENTITY, place)
    assert read_token(token, IDENTITY) == place._replace(edges=list(place.edges))


@pytest.mark.parametrize(
    ("changes", "forgetful"),
    [
        ({}, False),
        ({"edges_known": 0}, True),
        ({"edges_known": 0, "rows": 0}, False),
        ({"blind": True}, True),
        ({"blind": True, "edges_known": 0, "rows": 0}, True),
    ],
)
def test_what_was_delivered_is_forgotten_where_no_edges_tell_it(
    changes: dict[str, Any], forgetful: bool
) -> None:
    place = PLACE._replace(**changes)
    assert place.forgetful == forgetful
    assert read_token(write_token(IDENTITY, place), IDENTITY).forgetful == forgetful


def test_a_token_of_before_second_readings_were_gone_on_with_is_of_a_first_one() -> None:
    token = changed().removeprefix("kb4.")
    state = codec.decode(zlib.decompress(base64.urlsafe_b64decode(token)))
    del state["rereading"]
    assert read_token(packed(state), IDENTITY).rereading is False


def test_only_the_edges_that_were_meant_are_written() -> None:
    token = write_token(IDENTITY, PLACE._replace(edges_known=1))
    assert read_token(token, IDENTITY).edges == [(1, 100)]


def test_a_token_is_one_word_that_fits_anywhere() -> None:
    token = write_token(IDENTITY, PLACE)
    assert token.isascii()
    assert token.replace(".", "").replace("-", "").replace("_", "").isalnum()


def test_a_token_of_a_long_listing_is_small() -> None:
    edges = [(n * 1000, n * 1000 + 999) for n in range(10_000)]
    token = write_token(IDENTITY, PLACE._replace(edges=edges, edges_known=len(edges)))
    assert len(token) < 10_000


@pytest.mark.parametrize(
    ("identity", "named"),
    [
        (IDENTITY._replace(resource="users"), "resource"),
        (IDENTITY._replace(scope={"group_id": 790}), "scope"),
        (IDENTITY._replace(scope={}), "scope"),
        (IDENTITY._replace(query={"status": "archived"}), "query"),
        (IDENTITY._replace(query={}), "query"),
        (IDENTITY._replace(per_page=100), "per_page"),
    ],
)
def test_a_token_of_another_listing_is_refused_and_the_difference_named(
    identity: Identity, named: str
) -> None:
    with pytest.raises(CheckpointMismatchError, match=named):
        read_token(write_token(IDENTITY, PLACE), identity)


def test_the_order_of_parameters_is_no_difference() -> None:
    one = IDENTITY._replace(query={"a": "1", "b": "2"})
    other = IDENTITY._replace(query={"b": "2", "a": "1"})
    assert read_token(write_token(one, PLACE), other).number == 4


def packed(state: object) -> str:
    return "kb4." + base64.urlsafe_b64encode(zlib.compress(codec.encode(state))).decode()


@pytest.mark.parametrize(
    "token",
    [
        "",
        "kb4.",
        "kb4.AAAA",
        "kb4.\u00e9",
        "kb4.=",
        "abc",
        "users",
        packed([]),
        packed(1),
        packed({}),
        packed({"v": 1}),
        packed({"v": 2, "mode": "number"}),
        packed({"v": 1, "mode": "page"}),
        "kb4." + base64.urlsafe_b64encode(zlib.compress(b"{")).decode(),
        "kb4." + base64.urlsafe_b64encode(zlib.compress(b"\xff")).decode(),
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(ConfigurationError, match="not a resume token"):
        read_token(token, IDENTITY)


def changed(**changes: object) -> str:
    """A token of the right version whose place was changed."""
    place = PLACE._replace(mode="cursor", anchor=Cursor("abc"))
    token = write_token(IDENTITY, place).removeprefix("kb4.")
    state = codec.decode(zlib.decompress(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))))
    return packed({**state, **changes})


def test_a_token_that_is_unpacked_and_packed_again_is_one() -> None:
    assert read_token(changed(), IDENTITY).anchor == Cursor("abc")
    assert read_token(changed(number=9), IDENTITY).number == 9


@pytest.mark.parametrize(
    "changes",
    [
        {"anchor": None},
        {"anchor": []},
        {"anchor": ["abc"]},
        {"anchor": 7},
        {"mode": "page"},
        {"mode": None},
        {"number": 0},
        {"number": "x"},
        {"rows": -1},
        {"size": -1},
        {"size": 501},
        {"edges": [1]},
        {"edges": ["x", "y"]},
        {"last": [1, 2]},
        {"cut": None},
        {"end": "done"},
    ],
)
def test_a_place_that_nobody_here_writes_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="not a resume token"):
        read_token(changed(**changes), IDENTITY)


@pytest.mark.parametrize("name", ["anchor", "mode", "number", "edges", "last", "cut", "blind"])
def test_a_place_that_lacks_something_is_refused(name: str) -> None:
    token = changed().removeprefix("kb4.")
    state = codec.decode(zlib.decompress(base64.urlsafe_b64decode(token)))
    del state[name]
    with pytest.raises(ConfigurationError, match="not a resume token"):
        read_token(packed(state), IDENTITY)


@pytest.mark.parametrize("keep", [5, 20, 60, -1])
def test_a_token_that_lost_its_end_is_refused(keep: int) -> None:
    with pytest.raises(ConfigurationError, match="not a resume token"):
        read_token(write_token(IDENTITY, PLACE)[:keep], IDENTITY)
