"""How a simulated SCIM server behaves where servers differ, and where they lie."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ScimRules:
    """What KnowBe4's SCIM does is public only in part, so each open point is a rule.

    Replace them while the simulator runs: `simulator.scim_rules = replace(rules, test_mode=True)`.

    Attributes:
        sso: whether SAML SSO is set up; without it every call is answered 403.
        test_mode: accept and report writes, and change nothing.
        discovery: serve /ServiceProviderConfig, or answer that status, or a page of HTML.
        error_style: what stands in the body of an error.
        filters: `ignored` answers all rows, `empty` none, `case_exact` minds the case of values.
        shows_others: whether users that SCIM did not create are in lists. If not, such a user does
            not exist by a filter and already exists by a POST.
        page_size: rows in a page where no `count` is asked for.
        page_cap: rows in a page at most, whatever `count` says.
        past_end: what a `startIndex` beyond the last row gets.
        total: whether `totalResults` is right, counts the rows of the page, or is missing.
        numeric_ids: serve ids as JSON numbers.
        hide_kmsat: never serve KnowBe4's own extension; a PUT without it blanks it all the same.
        hide_active: never serve `active`; a PUT without it makes the user active all the same.
        rows_lack: attributes that a user has when read by its id, and not in a list.
        unique_users: refuse a userName that is taken, archived users included.
        unique_groups: refuse a displayName that is taken.
        conflict_scim_type: whether a 409 carries the scimType.
        after_delete: how a user is served that was deleted, which is to say archived.
        patch_answers: 200 with the resource, or 204.
        members_shown: members of a group that are served at most.
        max_members_per_patch: members that one PATCH may name.
        member_removal: the form understood: `members[value eq "id"]`, a list of values, or both.
            `clears` understands the former, and by a list of values removes everybody, as RFC 7644
            3.5.2.2 has it.
        excluded_members: whether a group whose members are excluded lacks them or shows none.
        duplicate_members: store a member twice that is added twice.
    """

    sso: bool = True
    test_mode: bool = False
    discovery: Literal["work", "html", 404, 501] = "work"
    error_style: Literal["scim", "html", "empty"] = "scim"
    filters: Literal["work", "ignored", "empty", "case_exact"] = "work"
    shows_others: bool = True
    page_size: int = 100
    page_cap: int | None = None
    past_end: Literal["empty", "first_page"] = "empty"
    total: Literal["right", "page", "missing"] = "right"
    numeric_ids: bool = False
    hide_kmsat: bool = False
    hide_active: bool = False
    rows_lack: tuple[str, ...] = ()
    unique_users: bool = True
    unique_groups: bool = False
    conflict_scim_type: bool = True
    after_delete: Literal["inactive", "not_found"] = "inactive"
    patch_answers: Literal[200, 204] = 200
    members_shown: int | None = None
    max_members_per_patch: int | None = None
    member_removal: Literal["both", "filter", "value", "clears"] = "both"
    excluded_members: Literal["absent", "empty"] = "absent"
    duplicate_members: bool = False
