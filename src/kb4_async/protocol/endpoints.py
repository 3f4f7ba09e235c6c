"""The endpoint table: one row an endpoint, and nothing about an endpoint anywhere else.

Source of every row: KnowBe4's Reporting API reference as published on 2025-09-25, cross-checked
with public connectors. Facts that shape a row stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.request import Value, query_text

#: KnowBe4's largest page; the API's own default is 100.
MAX_PER_PAGE = 500
#: An answer of so many rows may be a page of more, where it is not known to be everything.
PAGE_SIZES = frozenset({100, MAX_PER_PAGE})


class Filter(NamedTuple):
    """A query parameter of an endpoint.

    Attributes:
        name: As the API spells it.
        kind: ``id`` (integer or digits), ``flag`` (boolean) or ``choice``.
        choices: Allowed values of a ``choice``.
        default: Sent unless the caller says otherwise; None sends nothing.
    """

    name: str
    kind: str
    choices: tuple[str, ...] = ()
    default: Value | None = None

    def check(self, resource: str, value: object) -> Value:
        """Return the value if the API knows it.

        Raises:
            ConfigurationError: It does not; the message names what is allowed.
        """
        if self.kind == "flag":
            if isinstance(value, bool):
                return value
            allowed = "True or False"
        elif self.kind == "choice":
            if isinstance(value, str) and value in self.choices:
                return value
            allowed = " or ".join(repr(choice) for choice in self.choices)
        else:
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                return value
            if isinstance(value, str) and value.isascii() and value.isdigit():
                return value
            allowed = "an id as the API serves it (a whole number)"
        msg = (
            f"{self.name}={value!r} is not a filter of {resource}: use {allowed}, or leave it out."
        )
        raise ConfigurationError(msg)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the table.

    Attributes:
        resource: The name used in exports, events, tokens and on the command line.
        path: Path of the list, with ``{parent}`` where it has one.
        key: The record's key.
        one: Path of the single record; None where there is none.
        parent: The parent's key in the path, added to records that lack it.
        filters: Parameters of the list.
        one_filters: Names of those filters that the single record's endpoint also takes.
        aliases: Old spelling to modern spelling; the modern one is added beside the old. A dot
            leads into a nested object.
        server_limit: Rows at which the API is known to stop without saying so, given the filter in
            ``unless``; 0 where it never does.
        unless: The filter that lifts ``server_limit``.
        paging: ``pages``; ``one_answer`` where the API documents that all rows come at once, so
            that no page is named; ``unsure`` where sources differ, so that a second page equal to
            the first means that the first held everything.
    """

    resource: str
    path: str
    key: str
    one: str | None = None
    parent: str | None = None
    filters: tuple[Filter, ...] = ()
    one_filters: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    server_limit: int = 0
    unless: str | None = None
    paging: Literal["pages", "one_answer", "unsure"] = "pages"

    @property
    def keys(self) -> tuple[str, ...]:
        """The key's spellings, the modern one first."""
        return (self.key, *(old for old, modern in self.aliases if modern == self.key))

    @property
    def passes(self) -> tuple[dict[str, str], ...]:
        """The filters of each listing that all records take: callback ones are listed apart."""
        return ({}, {"campaign_type": "callback"}) if CALLBACK in self.filters else ({},)

    def query(self, given: Mapping[str, object]) -> dict[str, str]:
        """Check a caller's filters and write the query in the table's order.

        Raises:
            ConfigurationError: An unknown filter or value; the message names the allowed ones.
        """
        known = {f.name for f in self.filters}
        for name in given:
            if name not in known:
                allowed = ", ".join(sorted(known)) or "none"
                msg = f"{self.resource} has no filter {name!r}; it has: {allowed}."
                raise ConfigurationError(msg)
        query: dict[str, str] = {}
        for row in self.filters:
            value = given.get(row.name, row.default)
            if value is not None:
                query[row.name] = query_text(row.check(self.resource, value))
        return query

    def one_query(self, given: Mapping[str, object]) -> dict[str, str]:
        """Check and write the query of the single record's endpoint."""
        rows = tuple(f for f in self.filters if f.name in self.one_filters)
        return Endpoint(self.resource, self.path, self.key, filters=rows).query(given)

    def limited(self, query: Mapping[str, str]) -> int:
        """Rows at which this listing would stop silently, or 0."""
        return 0 if self.unless and query.get(self.unless) == "true" else self.server_limit


STATUS = Filter("status", "choice", ("active", "archived"))
# Callback campaigns, their tests and recipients are left out unless this filter asks for them.
CALLBACK = Filter("campaign_type", "choice", ("callback",))
# Without it only the last six months are served.
FULL = Filter("full", "flag", default=True)
# Fields were renamed from "adi" to "provisioning"; older accounts may still serve the old names.
RENAMED_USER = (("adi_manageable", "provisioning_managed"), ("adi_guid", "provisioning_guid"))

ACCOUNT = Endpoint("account", "account", "name", one="account")
ACCOUNT_RISK_HISTORY = Endpoint(
    "account_risk_history",
    "account/risk_score_history",
    "date",
    filters=(FULL,),
    paging="unsure",
)
USERS = Endpoint(
    "users",
    "users",
    "id",
    one="users/{user_id}",
    filters=(STATUS, Filter("group_id", "id"), Filter("expand", "choice", ("group",))),
    aliases=RENAMED_USER,
)
USER_RISK_HISTORY = Endpoint(
    "user_risk_history",
    "users/{user_id}/risk_score_history",
    "date",
    parent="user_id",
    filters=(FULL,),
    # "Outside pagination, with up to 1,000 records."
    paging="one_answer",
    server_limit=1000,
)
GROUPS = Endpoint(
    "groups",
    "groups",
    "id",
    one="groups/{group_id}",
    filters=(STATUS,),
    aliases=(("adi_guid", "provisioning_guid"),),
)
MEMBERS = Endpoint(
    "members",
    "groups/{group_id}/members",
    "id",
    parent="group_id",
    aliases=RENAMED_USER,
)
GROUP_RISK_HISTORY = Endpoint(
    "group_risk_history",
    "groups/{group_id}/risk_score_history",
    "date",
    parent="group_id",
    filters=(FULL,),
    paging="unsure",
)
PHISHING_CAMPAIGNS = Endpoint(
    "phishing_campaigns",
    "phishing/campaigns",
    "campaign_id",
    one="phishing/campaigns/{campaign_id}",
    filters=(CALLBACK,),
    one_filters=("campaign_type",),
)
SECURITY_TESTS = Endpoint(
    "security_tests",
    "phishing/security_tests",
    "pst_id",
    one="phishing/security_tests/{pst_id}",
    filters=(CALLBACK,),
    one_filters=("campaign_type",),
    # Recorded answers have the underscore, the documentation the hyphen.
    aliases=(("landing-page", "landing_page"),),
)
CAMPAIGN_SECURITY_TESTS = replace(
    SECURITY_TESTS,
    resource="campaign_security_tests",
    path="phishing/campaigns/{campaign_id}/security_tests",
    one=None,
    one_filters=(),
    parent="campaign_id",
)
RECIPIENTS = Endpoint(
    "recipients",
    "phishing/security_tests/{pst_id}/recipients",
    "recipient_id",
    one="phishing/security_tests/{pst_id}/recipients/{recipient_id}",
    parent="pst_id",
    filters=(CALLBACK,),
    one_filters=("campaign_type",),
    aliases=(("user.active_directory_guid", "user.provisioning_guid"),),
)
STORE_PURCHASES = Endpoint(
    "store_purchases",
    "training/store_purchases",
    "store_purchase_id",
    one="training/store_purchases/{store_purchase_id}",
    # The documentation's own example spells the key so.
    aliases=(("store_purchased_id", "store_purchase_id"),),
)
POLICIES = Endpoint(
    "policies", "training/policies", "policy_id", one="training/policies/{policy_id}"
)
TRAINING_CAMPAIGNS = Endpoint(
    "training_campaigns",
    "training/campaigns",
    "campaign_id",
    one="training/campaigns/{campaign_id}",
    # "If percentages are not excluded, the response limit will be set to 10."
    filters=(Filter("exclude_percentages", "flag", default=True),),
    one_filters=("exclude_percentages",),
    server_limit=10,
    unless="exclude_percentages",
)
ENROLLMENTS = Endpoint(
    "enrollments",
    "training/enrollments",
    "enrollment_id",
    one="training/enrollments/{enrollment_id}",
    filters=(
        Filter("store_purchase_id", "id"),
        Filter("campaign_id", "id"),
        Filter("user_id", "id"),
        Filter("exclude_archived_users", "flag"),
        # Without these the record cannot be joined with campaigns, purchases or people.
        Filter("include_campaign_id", "flag", default=True),
        Filter("include_store_purchase_id", "flag", default=True),
        Filter("include_employee_number", "flag", default=True),
    ),
    one_filters=("include_campaign_id",),
)

ENDPOINTS: Mapping[str, Endpoint] = {
    row.resource: row
    for row in (
        ACCOUNT,
        ACCOUNT_RISK_HISTORY,
        USERS,
        USER_RISK_HISTORY,
        GROUPS,
        MEMBERS,
        GROUP_RISK_HISTORY,
        PHISHING_CAMPAIGNS,
        SECURITY_TESTS,
        CAMPAIGN_SECURITY_TESTS,
        RECIPIENTS,
        STORE_PURCHASES,
        POLICIES,
        TRAINING_CAMPAIGNS,
        ENROLLMENTS,
    )
}


def check_per_page(per_page: int) -> int:
    """Return the page size if the API can serve it.

    Raises:
        ConfigurationError: It is not a whole number from 1 to 500.
    """
    if isinstance(per_page, bool) or not isinstance(per_page, int):
        msg = f"per_page is a whole number from 1 to {MAX_PER_PAGE}, not {per_page!r}."
        raise ConfigurationError(msg)
    if not 1 <= per_page <= MAX_PER_PAGE:
        msg = f"per_page is from 1 to {MAX_PER_PAGE} (the API's largest page), not {per_page}."
        raise ConfigurationError(msg)
    return per_page
