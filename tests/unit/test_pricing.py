"""What reading costs, and what an export's resources cost by what was found of an account."""

import math
from typing import Any

import pytest
from support.paging_server import PagingServer

from kb4_async import APIError, Limits, PermissionDeniedError, Window
from kb4_async.errors import KB4Error
from kb4_async.export.estimate import Choice, ResourcePlan, price
from kb4_async.export.plan import ExportPlan, make_plan
from kb4_async.export.survey import Finder, Found, Sheet, Survey
from kb4_async.options import CAP
from kb4_async.protocol.asks import Verify, edges_of
from kb4_async.protocol.codec import Key
from kb4_async.protocol.endpoints import ACCOUNT_RISK_HISTORY, USERS, Endpoint
from kb4_async.protocol.pricing import Duration, duration, listing_requests

MINUTE = Window(50, 60.0)


# -- requests a listing ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "requests"), [(0, 1), (1, 2), (499, 2), (500, 2), (501, 3), (1000, 6), (20_000, 47)]
)
def test_listings_cost_what_semantics_1_says(rows: int, requests: int) -> None:
    assert listing_requests(rows) == requests


@pytest.mark.parametrize(
    ("rows", "pages"), [(0, 1), (1, 1), (500, 1), (501, 2), (1000, 2), (20_000, 40)]
)
@pytest.mark.parametrize(("verify", "times"), [("tail", 1), ("full", 2), ("none", 1)])
def test_with_a_count_only_the_pages_are_asked(
    rows: int, pages: int, verify: Verify, times: int
) -> None:
    assert listing_requests(rows, counted=True, verify=verify) == pages * times


def test_looking_at_nothing_saves_the_look_and_reading_twice_about_doubles() -> None:
    # 500 rows are one page, which is never looked at again.
    assert listing_requests(500, verify="none") == listing_requests(500)
    assert listing_requests(1200, verify="none") == listing_requests(1200) - 1
    # A full last page is looked at together with the empty one behind it.
    assert listing_requests(1000, verify="none") == listing_requests(1000) - 2
    assert 80 <= listing_requests(20_000, verify="full") <= 94


def test_a_server_of_smaller_pages_costs_those_and_finding_out() -> None:
    alone = listing_requests(1150, per_page=100)

    assert listing_requests(1150, served=100) == alone + 2
    # A listing that fits one of its pages never shows that they are small.
    assert listing_requests(100, served=100) == listing_requests(100)


def test_one_answer_for_everything_is_known_by_its_repetition_or_by_its_size() -> None:
    assert listing_requests(365, paged=False) == 2
    assert listing_requests(730, paged=False) == 1


# -- time -----------------------------------------------------------------------------------------


def test_nothing_takes_no_time_and_one_request_one_answer() -> None:
    assert duration(0, [MINUTE], 0.5, 4) == Duration(0.0, None)
    assert duration(1, [MINUTE], 0.5, 4) == Duration(0.5, None)


@pytest.mark.parametrize(("requests", "rounds"), [(4, 1), (5, 2), (8, 2), (9, 3)])
def test_without_a_window_only_so_many_answers_come_at_once(requests: int, rounds: int) -> None:
    assert duration(requests, [], 0.5, 4) == Duration(rounds * 0.5, None)


def test_a_place_in_a_window_is_free_one_window_after_the_answer() -> None:
    assert duration(50, [MINUTE], 0.5, 50) == Duration(0.5, None)
    assert duration(51, [MINUTE], 0.5, 50) == Duration(61.0, MINUTE)
    assert duration(101, [MINUTE], 0.5, 50) == Duration(121.5, MINUTE)


def test_the_window_that_most_time_is_spent_on_binds() -> None:
    published = Limits.published(licensed_users=25).windows

    # The reference's example: 2,550 requests are 51 times 50, and more than a day's 2,025.
    assert duration(2025, published, 0.0, 32).binds == MINUTE
    whole = duration(2550, published, 0.0, 32)
    assert whole.binds == Window(2025, 86_400.0)
    assert 86_400 < whole.seconds < 86_400 + 3_600
    assert duration(40, published, 0.0, 32).binds == Window(4, 1.0)
    assert duration(40, published, 20.0, 1).binds is None


def test_how_long_it_takes_to_tell_does_not_grow_with_the_number_of_requests() -> None:
    windows = [Window(4, 1.0), MINUTE, Window(2025, 86_400.0)]

    # Gone through one by one, these would take days.
    days = 10**12
    assert duration(days * 2025, windows, 0.25, 32).seconds == pytest.approx(
        (days - 1) * (86_400.25) + duration(2025, windows, 0.25, 32).seconds
    )


# -- finding ends ---------------------------------------------------------------------------------


def find(server: PagingServer, endpoint: Endpoint = USERS, *, auto: bool = True) -> Found:
    """Look for the end of a server's listing, as planning does."""
    listing = Found()
    finder = Finder(endpoint, listing, auto=auto)
    while (number := finder.search.probe()) is not None:
        listing.asked += 1
        keys = server.answer(number, finder.search.per_page)
        assert keys is not None
        if not finder.saw(number, Sheet(len(keys), edges_of(keys), None, ()), shows_cursor=False):
            return listing
    finder.ended()
    return listing


@pytest.mark.parametrize(
    "rows", [0, 1, 500, 501, 999, 1000, 1001, 1500, 5500, 20_000, 20_001, 131_072]
)
def test_the_end_is_found_for_twice_the_logarithm_of_its_pages(rows: int) -> None:
    listing = find(PagingServer(range(rows)))

    assert listing.rows == rows
    assert listing.pages == -(-rows // 500)
    assert listing.asked <= math.ceil(2 * math.log2(max(1, listing.pages))) + 2


@pytest.mark.parametrize("rows", [99, 100, 101, 250, 1200])
def test_the_end_is_found_where_the_server_gives_smaller_pages(rows: int) -> None:
    server = PagingServer(range(rows), cap=100)
    listing = find(server)

    assert listing.rows == rows
    assert listing.served == (100 if rows > 100 else None)
    assert len(set(server.asked)) == len(server.asked) == listing.asked


@pytest.mark.parametrize("rows", [1, 365, 499])
def test_an_unsure_endpoint_that_repeats_itself_is_not_paged(rows: int) -> None:
    listing = find(PagingServer(range(rows), ignore=True), ACCOUNT_RISK_HISTORY)

    assert (listing.rows, listing.paged, listing.asked, listing.whole) == (rows, False, 2, True)


def test_an_unsure_endpoint_that_gives_more_than_asked_for_is_not_paged() -> None:
    class Whole(PagingServer):
        def answer(self, number: int, per_page: int) -> list[Key]:
            del number, per_page
            return list(self.rows)

    listing = find(Whole(range(730)), ACCOUNT_RISK_HISTORY)

    assert (listing.rows, listing.paged, listing.asked) == (730, False, 1)


def test_an_unsure_endpoint_whose_full_page_is_repeated_may_have_more() -> None:
    listing = find(PagingServer(range(900), ignore=True), ACCOUNT_RISK_HISTORY)

    assert listing.rows is None
    assert "ignores page numbers" in listing.by_cursor


def test_a_server_that_ignores_pages_or_repeats_the_last_is_seen_through() -> None:
    ignores = find(PagingServer(range(900), ignore=True))
    told = find(PagingServer(range(900), ignore=True), auto=False)
    clamps = find(PagingServer(range(2000), clamp=True))

    assert "ignores page numbers" in ignores.by_cursor
    assert (told.rows, told.by_cursor, told.puzzle) == (None, "", "page 2 repeats a lower one")
    assert (clamps.rows, clamps.puzzle) == (None, "page 8 repeats a lower one")


def test_a_first_page_that_grew_while_pages_are_ignored_is_seen_through() -> None:
    server = PagingServer([1, 2], ignore=True)
    server.change = lambda: setattr(server, "rows", [1, 2, 3] if server.asked else [1, 2])

    assert "ignores page numbers" in find(server).by_cursor


@pytest.mark.parametrize(("number", "auto"), [(1, True), (1, False), (2, True)])
def test_only_a_refused_first_page_means_cursors(number: int, auto: bool) -> None:
    listing = Found()
    error = APIError("no such parameter", status=400)

    Finder(USERS, listing, auto=auto).failed(number, error)

    refused = number == 1 and auto
    assert bool(listing.by_cursor) == refused
    assert listing.error is (None if refused else error)


# -- resources ------------------------------------------------------------------------------------


def found(rows: int | None, records: list[dict[str, Any]] | None = None, **more: Any) -> Found:
    """A listing of so many rows; read whole unless said otherwise."""
    pages = -(-(rows or 0) // 500)
    options = {"pages": pages, "read": pages, "asked": pages, **more}
    return Found(rows=rows, records=records or [], **options)


def prices(
    *names: str,
    members: Any = "fetched",
    verify: Verify = "tail",
    seats: int | None = 10,
    **listings: Found | list[Found],
) -> dict[str, ResourcePlan]:
    several = {name: f if isinstance(f, list) else [f] for name, f in listings.items()}
    survey = Survey({} if seats is None else {"number_of_seats": seats}, several, 0, 0.1)
    return price(survey, Choice(names, members, verify))


def group(number: int, count: Any) -> dict[str, Any]:
    return {"id": number, "member_count": count}


def test_members_cost_the_pages_that_the_groups_count() -> None:
    groups = [group(1, 0), group(2, 1), group(3, 500), group(4, 501), group(5, 1000)]

    entry = prices("groups", "members", groups=found(5, groups))["members"]

    assert (entry.rows, entry.requests, entry.exact) == (2002, 0 + 1 + 1 + 2 + 2, True)
    assert entry.basis == "sum of member_count over 5 groups"


@pytest.mark.parametrize("count", [None, -1, "many", 1.5])
def test_a_group_without_a_count_is_an_estimate(count: object) -> None:
    groups = [group(1, 700), group(2, count), {"member_count": 9}]

    entry = prices("groups", "members", groups=found(3, groups))["members"]

    # The third has no id: an export cannot ask for it.
    assert (entry.rows, entry.requests, entry.exact) == (None, 2 + 2, False)
    assert "2 requests for each of 1 without it" in entry.basis


def test_members_of_groups_that_were_not_read_are_scaled() -> None:
    groups = found(2000, [group(n, 600) for n in range(1000)], pages=4, read=2)

    entry = prices("groups", "members", groups=groups)["members"]

    assert (entry.rows, entry.requests, entry.exact) == (1_200_000, 4000, False)
    assert "2 of 4 pages" in entry.basis


def test_derived_members_cost_nothing_where_groups_are_counted() -> None:
    counted = [group(1, 7), group(2, 0)]
    uncounted = [group(1, 7), group(2, None)]

    cheap = prices(
        "users", "groups", "members", members="derived", users=found(9), groups=found(2, counted)
    )
    dear = prices(
        "users", "groups", "members", members="derived", users=found(9), groups=found(2, uncounted)
    )

    assert (cheap["members"].requests, cheap["members"].exact) == (0, True)
    assert (dear["members"].requests, dear["members"].exact) == (2, False)


def test_what_is_read_for_the_sake_of_others_costs_too_and_says_so() -> None:
    entries = prices("members", groups=found(1, [group(1, 3)]))

    assert list(entries) == ["account", "groups", "members"]
    assert [entry.chosen for entry in entries.values()] == [False, False, True]
    assert [entry.requests for entry in entries.values()] == [1, 2, 1]
    assert entries["groups"].basis.endswith("read for the sake of members")


def test_recipients_are_counted_by_their_campaign_then_by_their_test() -> None:
    tests: list[dict[str, Any]] = [
        {"pst_id": 1, "scheduled_count": 5000},
        {"pst_id": "2", "scheduled_count": 5000},
        {"pst_id": 3, "scheduled_count": 501},
        {"pst_id": 4, "scheduled_count": 0},
        {"pst_id": 5, "scheduled_count": None},
    ]
    counts = [{"pst_id": 1, "users_count": 0}, {"pst_id": 2, "users_count": 1500}]
    campaigns: list[dict[str, Any]] = [
        {"psts": counts},
        {"psts": None},
        {"psts": [None, {"pst_id": 3}]},
    ]
    callbacks: list[dict[str, Any]] = [{"pst_id": 6, "scheduled_count": 600}]

    entries = prices(
        "phishing_campaigns",
        "recipients",
        phishing_campaigns=[found(3, campaigns), found(0)],
        security_tests=[found(5, tests), found(1, callbacks)],
    )

    # Skipped; counted by the campaign; by the test; a count of 0 is proven by one request; unknown.
    assert entries["recipients"].requests == (0 + 3 + 2 + 1 + 2) + 2
    assert not entries["recipients"].exact
    assert entries["security_tests"].requests == 2 + 2
    assert entries["phishing_campaigns"].requests == 2 + 1
    assert not entries["security_tests"].chosen


def test_recipients_are_exact_where_every_test_and_campaign_was_read() -> None:
    tests = [found(1, [{"pst_id": 1, "scheduled_count": 700}]), found(0)]
    campaigns = [{"psts": [{"pst_id": 1, "users_count": 1200}]}]

    alone = prices("recipients", security_tests=tests)["recipients"]
    both = prices(
        "phishing_campaigns",
        "recipients",
        security_tests=tests,
        phishing_campaigns=[found(1, campaigns), found(0)],
    )["recipients"]
    partly = prices(
        "phishing_campaigns",
        "recipients",
        security_tests=tests,
        phishing_campaigns=[found(900, campaigns, read=1), found(0)],
    )["recipients"]

    assert (alone.requests, alone.rows, alone.exact) == (2, 700, True)
    assert (both.requests, both.rows, both.exact) == (3, 1200, True)
    assert (partly.requests, partly.exact) == (3, False)


def test_histories_cost_one_request_a_user_and_an_estimate_a_group() -> None:
    entries = prices("user_risk_history", "group_risk_history", users=found(1200), groups=found(30))

    users, groups = entries["user_risk_history"], entries["group_risk_history"]
    assert (users.requests, users.exact) == (1200, True)
    assert (groups.requests, groups.exact) == (60, False)
    assert entries["users"].requests == listing_requests(1200)


def test_nobodys_histories_cost_nothing() -> None:
    entries = prices("user_risk_history", "group_risk_history", users=found(0), groups=found(0))

    for name in ("user_risk_history", "group_risk_history"):
        assert (entries[name].requests, entries[name].exact) == (0, True)


def test_derived_members_cost_nothing_beyond_the_users() -> None:
    entries = prices("derived_members", users=found(1200))

    assert [entry.requests for entry in entries.values()] == [1, listing_requests(1200), 0]
    assert entries["users"].basis.endswith("read for the sake of derived_members")


def test_without_users_nothing_is_derived() -> None:
    error = PermissionDeniedError("GET users was answered with 403: no. Do this.", status=403)
    users = found(None, asked=1, error=error)

    entries = prices(
        "users",
        "groups",
        "members",
        "derived_members",
        members="derived",
        users=users,
        groups=found(1, [group(1, 700)]),
    )

    # An export then fetches the members of every group whose count the users do not tell.
    assert (entries["members"].requests, entries["members"].error) == (2, None)
    assert entries["derived_members"].error == "PermissionDeniedError"
    assert not entries["derived_members"].exact


def test_a_history_that_is_not_paged_is_told_by_what_planning_saw() -> None:
    entry = prices("account_risk_history", account_risk_history=found(365, paged=False))[
        "account_risk_history"
    ]

    assert (entry.rows, entry.requests, entry.exact) == (365, 2, True)
    assert entry.basis == "one answer holds everything"


def test_by_cursor_users_are_estimated_and_everything_below_them() -> None:
    cursor = found(None, asked=1, by_cursor="the server refuses page numbers")

    entries = prices(
        "users", "groups", "members", "user_risk_history", users=cursor, groups=cursor, seats=1201
    )

    assert (entries["users"].rows, entries["users"].requests) == (1201, 3)
    assert entries["user_risk_history"].requests == 1201
    assert (entries["groups"].rows, entries["groups"].requests) == (None, 2)
    assert not any(entry.exact for name, entry in entries.items() if name != "account")
    assert "refuses page numbers" in entries["users"].basis
    assert entries["members"].basis.startswith("at least")


def test_what_could_not_be_read_says_why_and_so_does_what_hangs_on_it() -> None:
    error = PermissionDeniedError("GET groups was answered with 403: no. Do this.", status=403)

    entries = prices("members", "group_risk_history", groups=found(None, asked=1, error=error))

    for name in ("groups", "members", "group_risk_history"):
        assert entries[name].error == "PermissionDeniedError"
        assert not entries[name].exact
        assert "could not be read: GET groups was answered with 403: no" in entries[name].basis
        assert "Do this" not in entries[name].basis


# -- plans ----------------------------------------------------------------------------------------


def plan(
    *names: str, account: Any = None, verify: Verify = "tail", **listings: Found
) -> ExportPlan:
    several = {name: [each] for name, each in listings.items()}
    survey = Survey({} if account is None else account, several, 7, 0.25)
    return make_plan(survey, Choice(names, "fetched", verify), (CAP,), 32)


def test_the_published_limits_count_seats_or_users_or_nobody() -> None:
    seats = plan("users", account={"number_of_seats": 40}, users=found(9))
    users = plan("users", users=found(9))
    nobody = plan("groups", groups=found(9))
    unreadable = plan("groups", account=KB4Error("no"), groups=found(9))

    assert (seats.licensed_users, seats.published.quota) == (40, 2040)
    assert (users.licensed_users, users.published.quota) == (9, 2009)
    assert (nobody.licensed_users, nobody.published.quota) == (0, 2000)
    assert (unreadable.licensed_users, unreadable.exact) == (0, False)
    assert "number_of_seats" in seats.assumed
    assert "number of users" in users.assumed


def test_time_is_that_of_the_clients_own_concurrency_and_latency() -> None:
    survey = Survey({}, {"users": [found(20_000)]}, 0, 0.25)
    alone, four = (
        make_plan(survey, Choice(("users",), "fetched", "tail"), (CAP,), n) for n in (1, 4)
    )

    assert alone.in_force.seconds == pytest.approx(48 * 0.25)
    assert four.in_force.seconds == pytest.approx(12 * 0.25)
    assert alone.in_force.binds is None


def test_days_are_counted_where_a_day_has_a_quota() -> None:
    many = plan("users", "user_risk_history", users=found(5000))

    assert many.requests == 1 + listing_requests(5000) + 5000
    assert (many.in_force.days, many.in_force.quota) == (None, None)
    assert many.published.quota == 2000 + 5000
    assert many.published.days == 1
    most = plan("users", "user_risk_history", account={"number_of_seats": 0}, users=found(5000))
    assert most.published.days == 3
    assert most.published.binds == Window(2000, 86_400.0)
    assert most.published.seconds > 2 * 86_400


def test_savings_are_what_the_cheaper_plan_costs_less_most_first() -> None:
    groups = [group(n, 900) for n in range(40)]
    names = ("users", "user_risk_history", "groups", "members", "group_risk_history")

    savings = plan(*names, users=found(1200), groups=found(40, groups)).savings

    assert [(saving.what.split(" ")[0], saving.requests) for saving in savings] == [
        ("leave", 1200),
        ("take", 80),
        ("leave", 80),
        ("never", 1),
    ]
    assert 'members="derived"' in savings[1].what
    assert 'verify="none"' in savings[3].what


def test_what_a_resource_needs_is_saved_with_it() -> None:
    savings = plan("users", "group_risk_history", users=found(9), groups=found(40)).savings

    # 80 for the histories, 2 for listing the groups, which nothing else needs.
    assert [(saving.what, saving.requests) for saving in savings] == [
        ("leave out group_risk_history", 82)
    ]


def test_nothing_is_offered_that_saves_nothing() -> None:
    assert plan("users", users=found(9)).savings == ()
    assert plan("user_risk_history", users=found(9)).savings == ()


def test_reading_everything_twice_can_be_left() -> None:
    savings = plan("users", verify="full", users=found(20_000)).savings

    saved = {saving.what: saving.requests for saving in savings}
    assert saved['read everything once (verify="tail")'] == (
        listing_requests(20_000, verify="full") - listing_requests(20_000)
    )
    assert max(saved, key=lambda what: saved[what]).endswith('(verify="none")')
