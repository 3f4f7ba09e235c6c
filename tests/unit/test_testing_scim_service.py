from collections.abc import Hashable, Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kb4_async.testing import Account, Fault, ScimRules, generate_account
from kb4_async.testing.answers import Answer
from kb4_async.testing.indexes import Index
from kb4_async.testing.scim.calls import ScimCall
from kb4_async.testing.scim.ids import Ids
from kb4_async.testing.scim.service import ScimService
from kb4_async.testing.scim.spelling import ENTERPRISE, KMSAT, PATCH_OP, TOP

unhurried = settings(deadline=None)
RULES = ScimRules()


def call(service: ScimService, method: str, path: str, body: Any = None) -> Answer:
    asked = ScimCall(method, path, {}, body, "application/scim+json", "http://x.test/scim/v2")
    return service.answer(asked, RULES)


# Ids.


@given(st.integers(0, 1 << 41))
def test_an_id_leads_back_to_its_row_alone(origin: int) -> None:
    users, groups = Ids(1), Ids(2)
    text, number = users.text(origin), users.number(origin)

    assert users.origin(text) == users.origin(str(number)) == origin
    assert groups.origin(text) is None
    assert users.origin(text.upper()) in {None, origin}
    assert number < 1 << 53, "a double holds it"


@given(st.text())
def test_no_text_is_an_id_by_chance(text: str) -> None:
    origin = Ids(1).origin(text)

    assert origin is None or text in {Ids(1).text(origin), str(Ids(1).number(origin))}


# The index.

changes = st.lists(
    st.tuples(st.sampled_from(["add", "delete", "update", "ask"]), st.integers(0, 5)), max_size=30
)


@unhurried
@given(changes)
def test_an_index_finds_what_a_walk_finds(steps: list[tuple[str, int]]) -> None:
    table = generate_account(users=6, groups=1).users
    index = Index(table, lambda origin: [table.record(origin)["first_name"]])
    for step, number in steps:
        if step == "add":
            table.add(place=0 if number % 2 else None, first_name=f"name {number}")
        elif step == "delete" and len(table):
            table.delete(table.key_at(number % len(table)))
        elif step == "update" and len(table):
            table.update(table.key_at(number % len(table)), first_name=f"name {number}")
        names = {user["first_name"] for user in table} | {"name 0", "nobody"}
        for name in names:
            walked = [each for each in table.order if table.record(each)["first_name"] == name]
            assert index.origins(name) == sorted(walked)


# Anything may be sent.

names = st.sampled_from(
    [*TOP, ENTERPRISE, KMSAT, "urn:own:User", "value", "type", "manager", "customDate1", "other"]
) | st.text(max_size=3)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("a@x.test"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
paths = st.sampled_from(
    [
        *(
            "active",
            "userName",
            "members",
            "displayName",
            "name.givenName",
            "emails",
            "id",
            "other",
        ),
        *(ENTERPRISE, f"{ENTERPRISE}:manager", f"{ENTERPRISE}:manager.value", "urn:own:User:x"),
        *('phoneNumbers[type eq "work"].value', 'members[value eq "x"]', "title.x", "members.x"),
        *('name[type eq "x"]', 'members[type eq "x"].value', "emails[value eq 1]", f"{KMSAT}:x"),
    ]
)
operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove", "Remove", "x"])},
    optional={"path": paths, "value": values},
)
patches = st.fixed_dictionaries(
    {"schemas": st.just([PATCH_OP]), "Operations": st.lists(operations, max_size=3)}
)
bodies = values | patches | st.dictionaries(names, values).map(lambda d: d | {"userName": "b@x.t"})


@unhurried
@given(st.lists(st.tuples(st.sampled_from(["POST", "PUT", "PATCH"]), bodies), max_size=4))
def test_whatever_is_sent_is_answered_and_what_is_refused_changes_nothing(
    requests: list[tuple[str, Any]],
) -> None:
    account = generate_account(users=4, groups=2)
    service = ScimService(account)
    for endpoint, ids in (("Users", Ids(1)), ("Groups", Ids(2))):
        for method, body in requests:
            before = account.version
            path = endpoint if method == "POST" else f"{endpoint}/{ids.text(0)}"
            answer = call(service, method, path, body)
            assert answer.status in {200, 201, 400, 409}
            assert answer.status < 300 or account.version == before
            assert call(service, "GET", f"{endpoint}/{ids.text(0)}").status == 200
            assert call(service, "GET", endpoint).status == 200
    assert [user["id"] for user in account.users]
    assert sum(len(rows) for rows in account.members.values()) == sum(
        group["member_count"] for group in account.groups
    )


def test_what_the_reporting_side_changes_is_seen() -> None:
    account: Account = generate_account(users=4, groups=2)
    service = ScimService(account)
    path = f"Users/{Ids(1).text(0)}"
    assert call(service, "GET", path).status == 200
    account.delete_user(account.users[0]["id"])
    added = account.add_user(email="new@x.test", groups=[account.groups[0]["id"]])

    assert call(service, "GET", path).status == 404
    assert call(service, "POST", "Users", {"userName": "NEW@x.test"}).status == 409
    assert service.calls["groups"].groups.members(0)[-1] == account.users.origin_of(added["id"])


def test_a_write_does_not_walk_the_account() -> None:
    service = ScimService(generate_account(users=2_000, groups=2))
    call(service, "POST", "Users", {"userName": "first@x.test"})
    index = service.calls["groups"].groups.users.by_name
    read: list[int] = []
    values_of = index.values_of

    def counting(origin: int) -> Iterable[Hashable]:
        read.append(origin)
        return values_of(origin)

    index.values_of = counting
    for number in range(50):
        assert call(service, "POST", "Users", {"userName": f"n{number}@x.test"}).status == 201

    assert len(read) == 50, "that of the user before"


def test_faults_that_keep_a_write_from_taking_place() -> None:
    before = [
        Fault.lost_before(),
        Fault.rate_limit(),
        Fault.redirect(),
        Fault.wrong_region(),
        Fault.status(502, applied=False),
        Fault.html(applied=False),
        Fault.hang(applied=False),
    ]
    after = [Fault.reset(), Fault.status(502), Fault.html(), Fault.hang(), Fault.reset_in_body()]

    assert not any(fault.applied for fault in before)
    assert all(fault.applied for fault in after)
