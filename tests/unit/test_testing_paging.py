import re
from collections.abc import Iterator
from itertools import count
from typing import Any, TypeAlias

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kb4_async.testing import Account, PagingRules, generate_account
from kb4_async.testing.answers import Answer, Answers
from kb4_async.testing.cursors import Position, Spelling, first_row
from kb4_async.testing.tables import Table

Record: TypeAlias = dict[str, Any]

STYLES = ("envelope", "header", "link")
KINDS = [("key", "text"), ("offset", "text"), ("key", "integer"), ("offset", "integer")]
LOOKING = 50
# A busy machine is no defect.
unhurried = settings(deadline=None)


@pytest.fixture(scope="module")
def account() -> Account:
    """45 users. Not to be changed."""
    return generate_account(users=45, groups=4)


class Asker:
    """Asks without a socket, and follows cursors as clients do."""

    def __init__(self, account: Account, rules: PagingRules) -> None:
        self.answers = Answers(account, rules, style="compact", keep_bytes=10**6)
        self.cursors: list[Any] = []

    def get(self, path: str, **query: str) -> Answer:
        return self.answers.get(path, query, address=f"http://sim.test/v1/{path}")

    def rows(self, path: str, **query: str) -> list[Record]:
        answer = self.get(path, **query)
        assert answer.status == 200, answer.body
        found = orjson.loads(answer.body)
        assert isinstance(found, list)
        return found

    def follow(self, path: str, per_page: int = 10, **query: str) -> Iterator[list[Record]]:
        """Yield the pages of a listing by cursor."""
        cursor: Any = "true"
        for _ in range(LOOKING):
            self.cursors.append(cursor)
            answer = self.get(path, per_page=str(per_page), cursor=str(cursor), **query)
            assert answer.status == 200, answer.body
            found = orjson.loads(answer.body)
            yield found["data"] if isinstance(found, dict) else found
            cursor = next_cursor(answer, found)
            if cursor is None:
                return

    def ids(self, path: str = "users", per_page: int = 10) -> list[int]:
        return [row["id"] for page in self.follow(path, per_page) for row in page]


def next_cursor(answer: Answer, found: Any) -> Any:
    if isinstance(found, dict):
        return found["pagination"]["next_cursor"]
    for name in ("X-Next-Cursor", "next-cursor", "x-cursor-next"):
        if name in answer.headers:
            return answer.headers[name]
    link = re.search(r"cursor=([^>&]+)>; rel=\"next\"", answer.headers.get("link", ""))
    return link and link[1]


def ids_of(account: Account) -> list[int]:
    return [user["id"] for user in account.users]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("kind", "values"), KINDS)
@pytest.mark.parametrize("empty_pages", [0, 1, 3])
def test_cursors_read_everything(
    account: Account, style: Any, kind: Any, values: Any, empty_pages: int
) -> None:
    rules = PagingRules(
        cursors=style, cursor_kind=kind, cursor_values=values, empty_pages=empty_pages
    )
    asker = Asker(account, rules)
    pages = list(asker.follow("users"))
    assert [row for page in pages for row in page] == list(account.users)
    empty = {0: [], 1: [1, 3, 5, 7], 3: [3]}[empty_pages]
    assert [place for place, page in enumerate(pages) if not page] == empty
    assert len(set(map(str, asker.cursors))) == len(asker.cursors)


@pytest.mark.parametrize(("kind", "values"), KINDS)
def test_a_cursor_that_falls_on_the_end_of_all_rows_is_not_shown(kind: Any, values: Any) -> None:
    account = generate_account(users=20, groups=2)
    rules = PagingRules(cursors="envelope", cursor_kind=kind, cursor_values=values)
    assert [len(page) for page in Asker(account, rules).follow("users")] == [10, 10]


def test_integers_are_integers_in_an_envelope(account: Account) -> None:
    for kind, values in KINDS:
        rules = PagingRules(cursors="envelope", cursor_kind=kind, cursor_values=values)  # type: ignore[arg-type]
        asker = Asker(account, rules)
        asker.ids()
        wanted = int if values == "integer" else str
        assert {type(cursor) for cursor in asker.cursors[1:]} == {wanted}


@pytest.mark.parametrize(("kind", "values"), KINDS)
def test_histories_have_cursors_though_their_keys_are_dates(
    account: Account, kind: Any, values: Any
) -> None:
    rules = PagingRules(cursors="envelope", cursor_kind=kind, cursor_values=values)
    pages = list(Asker(account, rules).follow("account/risk_score_history", 90, full="true"))
    assert [row for page in pages for row in page] == list(account.risk_history)
    assert [len(page) for page in pages] == [90, 90, 90, 90, 40]


def test_cursors_in_a_page_of_recipients_and_of_old_purchases() -> None:
    account = generate_account(
        users=100, store_purchases=30, recipients_a_test=45, old_spellings=True
    )
    test_id = account.security_tests[0]["pst_id"]
    for path, table in (
        (f"phishing/security_tests/{test_id}/recipients", account.recipients[test_id]),
        ("training/store_purchases", account.store_purchases),
    ):
        pages = Asker(account, PagingRules(cursors="header")).follow(path)
        assert [row for page in pages for row in page] == list(table)


@pytest.mark.parametrize("values", ["text", "integer"])
@pytest.mark.parametrize(
    "change", ["delete before", "insert before", "delete at", "insert highest"]
)
def test_a_cursor_on_a_key_does_not_drift(values: Any, change: str) -> None:
    account = generate_account(users=45, groups=2)
    ids = ids_of(account)
    asker = Asker(account, PagingRules(cursors="envelope", cursor_values=values))
    pages = asker.follow("users")
    seen = [row["id"] for _ in range(2) for row in next(pages)]
    if change == "delete before":
        for user_id in ids[:5]:
            account.delete_user(user_id)
    elif change == "insert before":
        for place in range(3):
            account.add_user(place=place, id=place + 1)
    elif change == "delete at":
        account.delete_user(ids[19])
    else:
        for place in (0, 7, 0):
            account.add_user(place=place)
    seen += [row["id"] for page in pages for row in page]
    assert seen == ids


@pytest.mark.parametrize("values", ["text", "integer"])
def test_a_cursor_on_an_offset_shifts(values: Any) -> None:
    account = generate_account(users=45, groups=2)
    ids = ids_of(account)
    rules = PagingRules(cursors="envelope", cursor_kind="offset", cursor_values=values)
    pages = Asker(account, rules).follow("users")
    seen = [row["id"] for row in next(pages)]
    account.delete_user(ids[0])
    seen += [row["id"] for row in next(pages)]
    assert seen == ids[:10] + ids[11:21]
    account.add_user(place=0, id=1)
    seen = [row["id"] for row in next(pages)]
    assert seen == ids[20:30]


@unhurried
@given(
    st.integers(1, 2**70),
    st.integers(1, 2**70),
    st.booleans(),
    st.sampled_from(KINDS),
)
def test_a_cursor_is_read_as_it_was_written(
    place: int, rank: int, pause: bool, how: tuple[Any, Any]
) -> None:
    spelling = Spelling(*how, pauses=True)
    position = Position(place, rank if how[0] == "key" else 0, pause)
    read = spelling.read(str(spelling.write(position)))
    # A whole number has room for one of the two.
    wanted = Position(0, rank, pause) if how == ("key", "integer") else position
    assert read == wanted


@unhurried
@given(st.lists(st.integers(1, 30), unique=True, min_size=1), st.integers(0, 40), st.data())
def test_a_cursor_finds_its_row_in_any_order_of_rows(
    keys: list[int], hint: int, data: st.DataObject
) -> None:
    rows = Table(0, lambda origin: {"id": origin}, key="id")
    for key in keys:
        rows.insert({"id": key})
    place = data.draw(st.integers(1, len(keys)))
    assert first_row(rows, Position(hint, keys[place - 1])) == place


@unhurried
@given(st.sets(st.integers(1, 30)), st.integers(0, 40), st.integers(1, 31))
def test_a_cursor_finds_the_place_of_a_row_that_is_gone(
    keys: set[int], hint: int, gone: int
) -> None:
    rows = Table(0, lambda origin: {"id": origin}, key="id")
    for key in sorted(keys - {gone}):
        rows.insert({"id": key})
    assert first_row(rows, Position(hint, gone)) == sum(key < gone for key in keys)


@pytest.mark.parametrize("cursor", ["rubbish", "é", "-5", "1.5", " 7", "MToy", "LTE6MTow"])
@pytest.mark.parametrize(("kind", "values"), KINDS)
def test_rubbish_is_no_cursor(account: Account, kind: Any, values: Any, cursor: str) -> None:
    rules = PagingRules(cursors="envelope", cursor_kind=kind, cursor_values=values)
    assert Asker(account, rules).get("users", cursor=cursor).status == 400


@pytest.mark.parametrize("first", ["true", "0", ""])
def test_the_first_cursor(account: Account, first: str) -> None:
    for kind, values in KINDS:
        rules = PagingRules(cursors="header", cursor_kind=kind, cursor_values=values)  # type: ignore[arg-type]
        assert Asker(account, rules).rows("users", cursor=first) == list(account.users)


@pytest.mark.parametrize("style", ["none", "refused", *STYLES])
def test_page_and_cursor_are_never_taken_together(account: Account, style: Any) -> None:
    asker = Asker(account, PagingRules(cursors=style))
    assert asker.get("users", page="1", cursor="true").status == 400
    assert asker.get("users", page="1").status == 200


def test_cursors_only_at_some_paths(account: Account) -> None:
    rules = PagingRules(cursors="envelope", announce=True, cursor_paths=("training/enrollments",))
    asker = Asker(account, rules)
    assert isinstance(orjson.loads(asker.get("training/enrollments", page="1").body), dict)
    assert sum(map(len, asker.follow("training/enrollments", 100))) == len(account.enrollments)
    for path in ("users", "training/campaigns", "account/risk_score_history"):
        assert isinstance(asker.rows(path, page="1"), list)
        # What is not known is ignored, as servers do.
        assert asker.rows(path, cursor="true") == asker.rows(path)
    wide = PagingRules(cursors="envelope", cursor_paths=("groups/*/members",))
    path = f"groups/{account.groups[0]['id']}/members"
    assert isinstance(orjson.loads(Asker(account, wide).get(path, cursor="true").body), dict)


@pytest.mark.parametrize("name", ["X-Next-Cursor", "next-cursor", "x-cursor-next"])
def test_the_header_has_any_of_its_names(account: Account, name: Any) -> None:
    asker = Asker(account, PagingRules(cursors="header", cursor_header=name))
    assert list(asker.get("users", cursor="true", per_page="10").headers) == [name]
    assert asker.ids() == ids_of(account)


@pytest.mark.parametrize(
    ("rules", "begin"),
    [
        (PagingRules(cursors="link"), "http://sim.test/v1/users?"),
        (PagingRules(cursors="link", link_form="path"), "/v1/users?"),
        (PagingRules(cursors="link", link_form="query"), "?"),
        (
            PagingRules(cursors="link", link_origin="https://elsewhere.test"),
            "https://elsewhere.test/v1/users?",
        ),
        (PagingRules(cursors="link", link_origin="https://sim.test"), "https://sim.test/v1/users?"),
    ],
)
def test_where_a_link_leads(account: Account, rules: PagingRules, begin: str) -> None:
    answer = Asker(account, rules).get("users", cursor="true", per_page="7", status="active")
    link = answer.headers["link"]
    assert link.startswith(f"<{begin}")
    assert link.endswith('>; rel="next"')
    query = link[1:].split(">")[0].split("?")[1].split("&")
    assert {"per_page=7", "status=active"} < set(query)
    assert len(query) == 3


@pytest.mark.parametrize("status", [400, 405, 410, 422])
def test_ways_of_paging_are_refused_with_any_status(account: Account, status: Any) -> None:
    by_cursor = Asker(account, PagingRules(numbers="refused", cursors="header", refusal=status))
    assert by_cursor.get("users", page="1").status == status
    assert by_cursor.get("users").status == 200
    assert by_cursor.ids() == ids_of(account)
    by_number = Asker(account, PagingRules(cursors="refused", refusal=status))
    assert by_number.get("users", cursor="true").status == status
    assert by_number.rows("users", page="1") == list(account.users)
    neither = Asker(account, PagingRules(numbers="refused", cursors="refused", refusal=status))
    assert neither.get("users", page="1").status == status
    assert neither.get("users", cursor="true").status == status
    assert b"message" in neither.get("users", cursor="true").body


def test_numbers_ignored_and_no_cursors(account: Account) -> None:
    asker = Asker(account, PagingRules(numbers="ignored"))
    first = asker.rows("users", per_page="10")
    assert first == account.users[:10]
    for page in ("1", "2", "99"):
        assert asker.rows("users", per_page="10", page=page) == first
    assert asker.rows("users", per_page="10", cursor="true") == first


def test_a_page_that_comes_again_and_again(account: Account) -> None:
    asker = Asker(account, PagingRules(page_repeats_from=3))
    ids = [
        [row["id"] for row in asker.rows("users", per_page="10", page=str(page))]
        for page in range(1, 7)
    ]
    held = ids_of(account)
    assert ids == [held[:10], held[10:20], *[held[20:30]] * 4]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("kind", "values"), KINDS)
@pytest.mark.parametrize("at", [2, 3, 5])
def test_a_cursor_that_loops(account: Account, style: Any, kind: Any, values: Any, at: int) -> None:
    rules = PagingRules(cursors=style, cursor_kind=kind, cursor_values=values, cursor_loops_at=at)
    asker = Asker(account, rules)
    pages = list(asker.follow("users"))
    assert len(pages) == LOOKING
    around = [2 + step % (at - 1) for step in range(LOOKING - 1)]
    numbers = [1, *around]
    held = [account.users[begin : begin + 10] for begin in range(0, 45, 10)]
    assert pages == [held[number - 1] for number in numbers]
    assert asker.cursors.count(asker.cursors[1]) > 1


@pytest.mark.parametrize("style", STYLES)
def test_a_cursor_that_is_missing_though_rows_remain(account: Account, style: Any) -> None:
    rules = PagingRules(cursors=style, cursor_ends_at=2)
    assert Asker(account, rules).ids() == ids_of(account)[:20]


def test_announced_cursors_lie_in_the_same_way(account: Account) -> None:
    rules = PagingRules(cursors="envelope", announce=True, cursor_ends_at=1)
    found = orjson.loads(Asker(account, rules).get("users", page="1", per_page="10").body)
    assert len(found["data"]) == 10
    assert found["pagination"] == {"per_page": 10, "next_cursor": None}


def test_an_announced_cursor_leads_to_the_page_behind(account: Account) -> None:
    for style in STYLES:
        asker = Asker(account, PagingRules(cursors=style, announce=True))  # type: ignore[arg-type]
        answer = asker.get("users", page="2", per_page="10")
        cursor = next_cursor(answer, orjson.loads(answer.body))
        third = orjson.loads(asker.get("users", cursor=cursor, per_page="10").body)
        rows = third["data"] if isinstance(third, dict) else third
        assert rows == account.users[20:30]


def test_ten_campaigns_with_percentages_by_cursor() -> None:
    account = generate_account(users=5, training_campaigns=23)
    for limit, pages in (("response", [10]), ("page", [10, 10, 3])):
        rules = PagingRules(cursors="envelope", campaign_limit=limit)  # type: ignore[arg-type]
        found = Asker(account, rules).follow("training/campaigns", 500)
        assert [len(page) for page in found] == pages


def test_pages_by_number_are_the_rows_once_each(account: Account) -> None:
    asker = Asker(account, PagingRules())
    found: list[Record] = []
    for page in count(1):
        rows = asker.rows("users", per_page="7", page=str(page))
        found += rows
        if not rows:
            break
    assert found == list(account.users)
