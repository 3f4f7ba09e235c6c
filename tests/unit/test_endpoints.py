import pytest

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.endpoints import (
    ACCOUNT_RISK_HISTORY,
    CAMPAIGN_SECURITY_TESTS,
    ENDPOINTS,
    ENROLLMENTS,
    GROUP_RISK_HISTORY,
    GROUPS,
    MEMBERS,
    PHISHING_CAMPAIGNS,
    POLICIES,
    RECIPIENTS,
    SECURITY_TESTS,
    STORE_PURCHASES,
    TRAINING_CAMPAIGNS,
    USER_RISK_HISTORY,
    USERS,
    Endpoint,
    check_per_page,
)
from kb4_async.protocol.request import fill_path


@pytest.mark.parametrize(
    ("endpoint", "query"),
    [
        (USERS, {}),
        (GROUPS, {}),
        (MEMBERS, {}),
        (PHISHING_CAMPAIGNS, {}),
        (TRAINING_CAMPAIGNS, {"exclude_percentages": "true"}),
        (
            ENROLLMENTS,
            {
                "include_campaign_id": "true",
                "include_store_purchase_id": "true",
                "include_employee_number": "true",
            },
        ),
    ],
)
def test_unless_told_otherwise_a_list_is_asked_for_everything(
    endpoint: Endpoint, query: dict[str, str]
) -> None:
    assert endpoint.query({}) == query


@pytest.mark.parametrize(
    ("endpoint", "given", "query"),
    [
        (USERS, {"status": "active"}, {"status": "active"}),
        (USERS, {"expand": "group", "group_id": 789}, {"group_id": "789", "expand": "group"}),
        (USERS, {"group_id": "789"}, {"group_id": "789"}),
        (USERS, {"group_id": 0}, {"group_id": "0"}),
        (USERS, {"group_id": 2**70}, {"group_id": str(2**70)}),
        (USERS, {"status": None}, {}),
        (TRAINING_CAMPAIGNS, {"exclude_percentages": False}, {"exclude_percentages": "false"}),
        (TRAINING_CAMPAIGNS, {"exclude_percentages": None}, {}),
        (PHISHING_CAMPAIGNS, {"campaign_type": "callback"}, {"campaign_type": "callback"}),
    ],
)
def test_filters_are_written_as_the_api_spells_them(
    endpoint: Endpoint, given: dict[str, object], query: dict[str, str]
) -> None:
    assert endpoint.query(given) == query


def test_a_query_is_written_in_the_tables_order_whatever_the_callers() -> None:
    one = USERS.query({"expand": "group", "group_id": 1, "status": "archived"})
    other = USERS.query({"status": "archived", "group_id": 1, "expand": "group"})
    assert list(one.items()) == list(other.items())


def test_an_unknown_filter_is_refused_and_the_known_ones_named() -> None:
    with pytest.raises(ConfigurationError, match="expand, group_id, status"):
        USERS.query({"state": "active"})


def test_an_endpoint_without_filters_says_so() -> None:
    with pytest.raises(ConfigurationError, match="it has: none"):
        MEMBERS.query({"status": "active"})


@pytest.mark.parametrize(
    ("endpoint", "name", "value", "allowed"),
    [
        (USERS, "status", "Active", "'active' or 'archived'"),
        (USERS, "status", True, "'active' or 'archived'"),
        (USERS, "group_id", "abc", "whole number"),
        (USERS, "group_id", "", "whole number"),
        (USERS, "group_id", "7&status=active", "whole number"),
        (USERS, "group_id", "\u0667", "whole number"),
        (USERS, "group_id", -1, "whole number"),
        (USERS, "group_id", True, "whole number"),
        (USERS, "group_id", 1.0, "whole number"),
        (ENROLLMENTS, "exclude_archived_users", "true", "True or False"),
        (ENROLLMENTS, "exclude_archived_users", 1, "True or False"),
    ],
)
def test_a_value_that_the_api_does_not_know_is_refused_and_the_allowed_ones_named(
    endpoint: Endpoint, name: str, value: object, allowed: str
) -> None:
    with pytest.raises(ConfigurationError, match=allowed):
        endpoint.query({name: value})


def test_a_single_record_takes_its_own_filters_alone() -> None:
    assert ENROLLMENTS.one_query({}) == {"include_campaign_id": "true"}
    assert USERS.one_query({}) == {}
    with pytest.raises(ConfigurationError, match="it has: include_campaign_id"):
        ENROLLMENTS.one_query({"user_id": 1})


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        ({}, 0),
        ({"exclude_percentages": True}, 0),
        ({"exclude_percentages": False}, 10),
        ({"exclude_percentages": None}, 10),
    ],
)
def test_training_campaigns_stop_silently_unless_percentages_are_left_out(
    given: dict[str, object], limit: int
) -> None:
    assert TRAINING_CAMPAIGNS.limited(TRAINING_CAMPAIGNS.query(given)) == limit


@pytest.mark.parametrize("endpoint", [USERS, GROUPS, MEMBERS, ENROLLMENTS, PHISHING_CAMPAIGNS])
def test_no_other_list_stops_silently(endpoint: Endpoint) -> None:
    assert endpoint.limited(endpoint.query({})) == 0


@pytest.mark.parametrize("per_page", [1, 100, 500])
def test_a_page_size_the_api_serves_is_taken(per_page: int) -> None:
    assert check_per_page(per_page) == per_page


@pytest.mark.parametrize("per_page", [0, -1, 501, True, 1.0, "100", None])
def test_a_page_size_the_api_does_not_serve_is_refused(per_page: int) -> None:
    with pytest.raises(ConfigurationError, match="1 to 500"):
        check_per_page(per_page)


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS.keys())
def test_a_row_of_the_table_is_whole(endpoint: Endpoint) -> None:
    parent = {} if endpoint.parent is None else {endpoint.parent: 1}
    assert "{" not in fill_path(endpoint.path, parent)
    assert set(endpoint.one_filters) <= {row.name for row in endpoint.filters}
    assert endpoint.unless is None or endpoint.unless in {row.name for row in endpoint.filters}
    assert len({row.name for row in endpoint.filters}) == len(endpoint.filters)
    # The page and its size are the pager's: a filter of that name would be sent twice.
    assert not {"page", "per_page", "cursor"} & {row.name for row in endpoint.filters}


# -- rows that came later -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "path", "parent"),
    [
        (ACCOUNT_RISK_HISTORY, "account/risk_score_history", {}),
        (USER_RISK_HISTORY, "users/7/risk_score_history", {"user_id": 7}),
        (GROUP_RISK_HISTORY, "groups/7/risk_score_history", {"group_id": 7}),
        (SECURITY_TESTS, "phishing/security_tests", {}),
        (CAMPAIGN_SECURITY_TESTS, "phishing/campaigns/7/security_tests", {"campaign_id": 7}),
        (RECIPIENTS, "phishing/security_tests/7/recipients", {"pst_id": 7}),
        (STORE_PURCHASES, "training/store_purchases", {}),
        (POLICIES, "training/policies", {}),
    ],
)
def test_a_list_is_where_the_documentation_has_it(
    endpoint: Endpoint, path: str, parent: dict[str, int]
) -> None:
    assert fill_path(endpoint.path, parent) == path
    assert endpoint.parent == next(iter(parent), None)
    assert ENDPOINTS[endpoint.resource] is endpoint


@pytest.mark.parametrize(
    ("endpoint", "ids", "path"),
    [
        (PHISHING_CAMPAIGNS, {"campaign_id": 7}, "phishing/campaigns/7"),
        (SECURITY_TESTS, {"pst_id": 7}, "phishing/security_tests/7"),
        (
            RECIPIENTS,
            {"pst_id": 7, "recipient_id": 8},
            "phishing/security_tests/7/recipients/8",
        ),
        (STORE_PURCHASES, {"store_purchase_id": 7}, "training/store_purchases/7"),
        (POLICIES, {"policy_id": 7}, "training/policies/7"),
        (TRAINING_CAMPAIGNS, {"campaign_id": 7}, "training/campaigns/7"),
    ],
)
def test_a_single_record_is_where_the_documentation_has_it(
    endpoint: Endpoint, ids: dict[str, int], path: str
) -> None:
    assert endpoint.one is not None
    assert fill_path(endpoint.one, ids) == path


@pytest.mark.parametrize("endpoint", [ACCOUNT_RISK_HISTORY, USER_RISK_HISTORY, GROUP_RISK_HISTORY])
def test_a_history_is_asked_whole_unless_told_otherwise(endpoint: Endpoint) -> None:
    assert endpoint.query({}) == {"full": "true"}
    assert endpoint.query({"full": False}) == {"full": "false"}
    assert endpoint.query({"full": None}) == {}
    assert endpoint.key == "date"
    with pytest.raises(ConfigurationError, match="True or False"):
        endpoint.query({"full": "true"})


@pytest.mark.parametrize(
    "endpoint", [PHISHING_CAMPAIGNS, SECURITY_TESTS, CAMPAIGN_SECURITY_TESTS, RECIPIENTS]
)
def test_callback_phishing_is_asked_for_and_nothing_else_is(endpoint: Endpoint) -> None:
    assert endpoint.query({}) == {}
    assert endpoint.query({"campaign_type": "callback"}) == {"campaign_type": "callback"}
    with pytest.raises(ConfigurationError, match="'callback'"):
        endpoint.query({"campaign_type": "email"})
    if endpoint.one is not None:
        assert endpoint.one_query({"campaign_type": "callback"}) == {"campaign_type": "callback"}


def test_a_campaigns_tests_are_the_tests_below_another_path() -> None:
    rows = (SECURITY_TESTS, CAMPAIGN_SECURITY_TESTS)
    assert len({(row.key, row.filters, row.aliases) for row in rows}) == 1
    assert CAMPAIGN_SECURITY_TESTS.one is None
    assert CAMPAIGN_SECURITY_TESTS.one_filters == ()


@pytest.mark.parametrize("given", [{}, {"full": False}, {"full": None}])
def test_only_a_users_history_comes_in_one_answer_that_may_be_cut(given: dict[str, object]) -> None:
    assert USER_RISK_HISTORY.limited(USER_RISK_HISTORY.query(given)) == 1000
    one = [row.resource for row in ENDPOINTS.values() if row.paging == "one_answer"]
    assert one == ["user_risk_history"]


def test_the_other_histories_may_be_paged_or_not() -> None:
    unsure = [row.resource for row in ENDPOINTS.values() if row.paging == "unsure"]
    assert unsure == ["account_risk_history", "group_risk_history"]


@pytest.mark.parametrize(
    "endpoint",
    [SECURITY_TESTS, RECIPIENTS, STORE_PURCHASES, POLICIES, ACCOUNT_RISK_HISTORY],
)
def test_no_later_list_stops_silently(endpoint: Endpoint) -> None:
    assert endpoint.limited(endpoint.query({})) == 0


@pytest.mark.parametrize("endpoint", ENDPOINTS.values(), ids=ENDPOINTS.keys())
def test_an_alias_leads_from_one_name_to_another_in_the_same_object(endpoint: Endpoint) -> None:
    for old, modern in endpoint.aliases:
        assert old != modern
        assert old.rpartition(".")[0] == modern.rpartition(".")[0]
    assert len({old for old, _ in endpoint.aliases}) == len(endpoint.aliases)
