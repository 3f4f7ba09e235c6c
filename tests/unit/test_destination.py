"""Whose destination it is: told apart by what is known of two accounts, and held by one export."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb4_async.errors import CheckpointMismatchError, ConfigurationError
from kb4_async.export.destination import (
    LOCK,
    Claim,
    Destination,
    check_parameters,
    check_same_account,
    differing,
    is_claimed,
)

ACCOUNT = {"origin": "https://us.example", "name": "Example", "domains": ["a.example", "b.example"]}
values = st.text(max_size=3)
accounts = st.fixed_dictionaries(
    {},
    optional={
        "origin": st.none() | values,
        "name": st.none() | values,
        "domains": st.none() | st.lists(values, max_size=3),
        "type": values,
    },
)
locks = pytest.mark.skipif(sys.platform == "win32", reason="no such lock is offered there")


# -- accounts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "named"),
    [
        ({}, None),
        ({"domains": ["b.example", "a.example"]}, None),
        ({"domains": ["a.example"]}, "domains"),
        ({"domains": []}, "domains"),
        ({"domains": None}, None),
        ({"name": "Other"}, "name"),
        ({"name": ""}, "name"),
        ({"name": None, "domains": ["c.example"]}, "domains"),
        ({"origin": "https://eu.example"}, "origin"),
        ({"origin": "https://eu.example", "name": "Other"}, "origin"),
        ({"users": 7}, None),
    ],
)
def test_accounts_differ_in_what_is_known_of_both(
    theirs: dict[str, Any], named: str | None
) -> None:
    assert differing({**ACCOUNT, **theirs}, ACCOUNT) == named
    assert differing(ACCOUNT, {**ACCOUNT, **theirs}) == named


@given(accounts, accounts)
def test_accounts_differ_both_ways_or_not_at_all_and_never_from_themselves(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert differing(one, other) == differing(other, one)
    assert differing(one, one) is None
    assert differing(one, {}) is None


@given(accounts, st.randoms(use_true_random=False))
def test_the_order_of_domains_is_no_difference(account: dict[str, Any], chance: Any) -> None:
    mixed = dict(account)
    if mixed.get("domains"):
        mixed["domains"] = chance.sample(mixed["domains"], k=len(mixed["domains"]))
    assert differing(account, mixed) is None


def test_another_accounts_destination_is_refused_and_the_difference_named() -> None:
    found = Destination(Path("out"), None, {"account": {**ACCOUNT, "name": "Other"}})
    with pytest.raises(ConfigurationError, match=r"its name is 'Other', this key's is 'Example'"):
        check_same_account(found, ACCOUNT)


def test_an_unfinished_export_tells_whose_it_is_before_a_finished_one() -> None:
    manifest, facts = {"account": {"name": "Old"}}, {"account": {"name": "New"}}
    assert Destination(Path("out"), manifest, facts).account == {"name": "New"}
    assert Destination(Path("out"), manifest, None).account == {"name": "Old"}
    assert Destination(Path("out"), None, None).account == {}


# -- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ({"resources": ["users"], "verify": "tail"}, "resources is users, here it is users groups"),
        ({"resources": ["groups", "users"], "verify": "tail"}, "resources is groups users, here"),
        (
            {"resources": ["users", "groups"], "verify": "none"},
            "verify is 'none', here it is 'tail",
        ),
        ({"resources": ["users", "groups"]}, "verify is None, here it is 'tail'"),
    ],
)
def test_an_export_that_was_begun_in_another_way_is_refused_and_the_difference_named(
    theirs: dict[str, Any], said: str
) -> None:
    ours = {"resources": ["users", "groups"], "verify": "tail"}
    with pytest.raises(CheckpointMismatchError, match=said):
        check_parameters(Path("out"), {"parameters": theirs}, ours)
    check_parameters(Path("out"), {"parameters": {**ours, "later": 1}}, ours)


# -- one export at a time -------------------------------------------------------------------------


@pytest.fixture
def claim(tmp_path: Path) -> Iterator[Claim]:
    claim = Claim()
    claim.take(tmp_path)
    yield claim
    claim.release()


@locks
def test_a_folder_is_claimed_until_it_is_released(tmp_path: Path) -> None:
    assert not is_claimed(tmp_path)
    claim = Claim()
    assert not claim.stands()
    claim.take(tmp_path)
    assert claim.stands()
    assert is_claimed(tmp_path)
    held = claim.lock
    assert held is not None
    claim.release()
    claim.release()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(held)
    assert not claim.stands()
    assert not is_claimed(tmp_path)
    assert list(tmp_path.iterdir()) == []


@locks
def test_whoever_asks_takes_nothing_away(tmp_path: Path, claim: Claim) -> None:
    for _ in range(2):
        assert is_claimed(tmp_path)
        assert claim.stands()
    assert stat.S_IMODE((tmp_path / LOCK).stat().st_mode) == 0o600


@locks
def test_a_second_export_is_refused_and_leaves_the_first_its_folder(
    tmp_path: Path, claim: Claim
) -> None:
    other = Claim()
    with pytest.raises(ConfigurationError, match="Another export writes into"):
        other.take(tmp_path)
    other.release()
    assert claim.stands()
    assert is_claimed(tmp_path)


@locks
def test_a_lock_that_a_dead_export_left_claims_nothing(tmp_path: Path) -> None:
    dead = Claim()
    dead.take(tmp_path)
    assert dead.lock is not None
    os.close(dead.lock)  # as the operating system does
    dead.lock = None
    assert not is_claimed(tmp_path)
    assert (tmp_path / LOCK).exists(), "whoever looks leaves it where it is"
    claim = Claim()
    claim.take(tmp_path)
    assert claim.stands()
    claim.release()


@locks
@pytest.mark.parametrize("again", [False, True], ids=["removed", "replaced"])
def test_a_folder_that_is_another_by_now_is_not_held_and_not_touched(
    tmp_path: Path, claim: Claim, again: bool
) -> None:
    (tmp_path / LOCK).unlink()
    if again:
        (tmp_path / LOCK).touch()
    assert not claim.stands()
    assert not is_claimed(tmp_path)
    claim.release()
    assert (tmp_path / LOCK).exists() == again, "it is another's"


def test_a_folder_that_does_not_exist_is_claimed_by_nobody(tmp_path: Path) -> None:
    assert not is_claimed(tmp_path / "gone")
