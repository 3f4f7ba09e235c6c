"""The SCIM client against servers of others: names, updates that blank nothing, lost updates."""

import copy
from typing import Any

import pytest
from support.losing_proxy import LosingProxy, Name, nth
from support.scim_clients import (
    LOSSES,
    blind,
    client,
    person,
    plain,
    quickly,
    written,
)
from support.scim_servers import (
    KEEP_KMSAT,
    PEERS,
    Peer,
    Peers,
    all_groups,
    all_users,
    call,
    session,
)

from kb4_async import CLEAR, ScimUser
from kb4_async.scim.updating import UpdateMode

pytestmark = pytest.mark.usefixtures("scaled_up")

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
KMSAT = "urn:ietf:params:scim:schemas:extension:knowbe4:kmsat:2.0:User"

NAMES = [
    'o"brien@example.com',
    '"',
    "back\\slash@example.com",
    'both\\"@example.com',
    "first+tag@example.com",
    "emoji\N{GRINNING FACE}@example.com",
    "müller@example.com",
    "стефан@example.com",
    "straße@example.com",
    "İstanbul@example.com",
    "100%@example.com",
    "50%25@example.com",
    "%41@example.com",
    "a b@example.com",
    " leading@example.com",
    "trailing@example.com ",
    "o'neil@example.com",
    "a&b=c#d?e@example.com",
    "slash/in/name@example.com",
    "no-at-sign",
    'no "at" sign',
]
GROUP_NAMES = ["R&D", 'The "A" team', "back\\slash", "50% + 1", " blanks ", "Стая 😀", "a/b", ".."]


@pytest.fixture(params=PEERS)
def server(request: pytest.FixtureRequest, peers: Peers) -> Peer:
    return peers.empty(request.param)


async def accepts(server: Peer, name: str) -> bool:
    """Whether it takes such a userName; it is empty afterwards."""
    async with session(server) as http:
        body = {"schemas": [USER], "userName": name, "name": {"givenName": "A"}}
        answer = await call(http, server, "POST", "/Users", body)
        kept = answer.status == 201 and answer.body["userName"] == name
    server.reset()
    return kept


# -- names -------------------------------------------------------------------------------------


async def test_names(server: Peer) -> None:
    taken = [name for name in NAMES if await accepts(server, name)]
    assert taken == NAMES  # all of them take everything today
    strangers = [person(number, email="s@example.com") for number in range(3)]
    async with client(server) as scim:
        for stranger in strangers:
            await scim.users.create(stranger)
        before = sorted(map(str, map(plain, await all_users(server))))
        for number, name in enumerate(taken):
            wanted = ScimUser(
                name, given_name="G", family_name="F", email=f"m{number}@example.com", active=True
            )
            made = await scim.users.ensure(wanted)
            assert (made.result, made.name) == ("created", name)
            assert (await scim.users.ensure(wanted)).result == "unchanged"
            found = await scim.users.find(name)
            assert found is not None
            assert (found.user_name, found.id) == (name, made.id)
        assert sorted(row["userName"] for row in await all_users(server)) == sorted(
            [*taken, *(each.user_name for each in strangers)]
        )
        for name in taken:
            changed = await scim.users.update(name, given_name="H")
            assert changed.result == "updated", name
            assert (await scim.users.deactivate(name)).result == "deactivated", name
            found = await scim.users.find(name)
            assert found is not None
            assert (found.given_name, found.active) == ("H", False)
            await scim.users.delete(name)
            assert await scim.users.find(name) is None, name
    assert sorted(map(str, map(plain, await all_users(server)))) == before


async def test_group_names(server: Peer) -> None:
    async with client(server) as scim:
        for name in GROUP_NAMES:
            assert (await scim.groups.ensure(name)).result == "created", name
        for name in GROUP_NAMES:
            assert (await scim.groups.ensure(name)).result == "unchanged", name
    assert sorted(row["displayName"] for row in await all_groups(server)) == sorted(GROUP_NAMES)


# -- updates -----------------------------------------------------------------------------------


async def make_rich(server: Peer) -> str:
    """A user with everything that the server keeps, made without the client."""
    body: dict[str, Any] = {
        "schemas": [USER],
        "userName": "rich@example.com",
        "externalId": "emp-1",
        "active": True,
        "name": {"givenName": "Rich", "familyName": "Doe"},
        "emails": [{"value": "rich@example.com", "type": "work", "primary": True}],
    }
    if server.name in KEEP_KMSAT:
        body |= {
            "schemas": [USER, ENTERPRISE, KMSAT],
            "displayName": "The manager",
            "nickName": "Ri",
            "title": "CEO",
            "userType": "Employee",
            "preferredLanguage": "de",
            "emails": [
                {"value": "rich@example.com", "type": "work", "primary": True},
                {"value": "rich@home.example.com", "type": "home"},
            ],
            "phoneNumbers": [
                {"value": "+1 555", "type": "work"},
                {"value": "+1 666", "type": "mobile"},
                {"value": "+1 777", "type": "fax"},
            ],
            "addresses": [
                {"type": "work", "formatted": "Street 1", "locality": "Town"},
                {"type": "home", "formatted": "Street 2"},
            ],
            ENTERPRISE: {
                "employeeNumber": "1001",
                "department": "D",
                "costCenter": "C",
                "manager": {"value": "boss@example.com"},
            },
            KMSAT: {"customField1": "1", "customDate1": "2026-01-02T03:04:05Z", "userRole": "R"},
        }
    async with session(server) as http:
        answer = await call(http, server, "POST", "/Users", body)
        assert answer.status == 201, answer
        return str(answer.body["id"])


async def row_of(server: Peer, identity: str) -> dict[str, Any]:
    async with session(server) as http:
        answer = await call(http, server, "GET", f"/Users/{identity}")
    assert answer.status == 200
    return plain(answer.body)


def modes(server: Peer) -> tuple[UpdateMode, ...]:
    """django-scim2 patches nothing but active."""
    return ("put",) if server.name == "django-scim2" else ("put", "patch")


#: Fields to be changed one after another, and where each lies.
EVERYWHERE: list[tuple[str, Any, tuple[str, ...]]] = [
    ("given_name", "Richard", ("name", "givenName")),
    ("active", False, ("active",)),
    ("active", True, ("active",)),
]
WITH_EXTENSIONS: list[tuple[str, Any, tuple[str, ...]]] = [
    ("title", "CISO", ("title",)),
    ("title", CLEAR, ("title",)),
    ("department", "E", (ENTERPRISE, "department")),
    ("manager", "head@example.com", (ENTERPRISE, "manager")),
    ("custom_field_1", "2", (KMSAT, "customField1")),
    ("custom_field_2", "3", (KMSAT, "customField2")),
    ("work_phone", "+1 999", ("phoneNumbers",)),
    ("work_address", "Street 9", ("addresses",)),
    ("email", "richard@example.com", ("emails",)),
]


def without(row: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    """A resource without what was changed, and what servers make of names."""
    left = copy.deepcopy(row)
    inner = left
    for outer in place[:-1]:
        inner = inner.get(outer, {})
    inner.pop(place[-1], None)
    if place[0] == "name":
        left["name"].pop("formatted", None)
        if ENTERPRISE not in left:  # django-scim2 makes it of the names
            left.pop("displayName", None)
    return left


@pytest.mark.parametrize("by_ensure", [False, True], ids=["update", "ensure"])
async def test_an_update_leaves_what_it_does_not_name(server: Peer, by_ensure: bool) -> None:
    rows: dict[str, dict[str, Any]] = {}
    for mode in modes(server):
        identity = await make_rich(server)
        async with client(server, update_mode=mode) as scim:
            rich = server.name in KEEP_KMSAT
            for field, value, place in [*EVERYWHERE, *(WITH_EXTENSIONS if rich else ())]:
                before = await row_of(server, identity)
                if by_ensure:
                    wanted = ScimUser("RICH@example.com", **{field: value})
                    found = await scim.users.ensure(wanted, reactivate=True)
                else:
                    found = await scim.users.update(identity, **{field: value})
                assert found.result in {"updated", "deactivated", "reactivated"}, (mode, field)
                assert found.unconfirmed == ()
                after = await row_of(server, identity)
                assert after != before, (mode, field)
                assert without(after, place) == without(before, place), (mode, field)
                assert ScimUser.of(after).named.get(field, CLEAR) == value
                rows[mode] = after
        server.reset()
    for after in rows.values() if server.name in KEEP_KMSAT else ():
        kept = [
            (each["type"], each.get("formatted", each.get("value")))
            for each in (*after["emails"], *after["phoneNumbers"], *after["addresses"])
        ]
        assert sorted(kept) == [
            ("fax", "+1 777"),
            ("home", "Street 2"),
            ("home", "rich@home.example.com"),
            ("mobile", "+1 666"),
            ("work", "+1 999"),
            ("work", "Street 9"),
            ("work", "richard@example.com"),
        ]


@pytest.mark.parametrize("action", LOSSES)
async def test_a_lost_update_is_looked_at_before_it_is_sent_again(
    server: Peer, action: Name
) -> None:
    for mode in modes(server):
        method = mode.upper()
        identity = await make_rich(server)
        before = await row_of(server, identity)
        async with LosingProxy(server.origin, nth(1, {method}, action)) as proxy:
            async with client(server.by(proxy.origin), update_mode=mode) as scim:
                found = await scim.users.update(identity, given_name="Richard")
            assert found.result == "updated"
            sent = [(each.method, each.action) for each in proxy.log if "Config" not in each.path]
            done = [("GET", "pass"), (method, action), ("GET", "pass")]
            assert sent == (done if action.endswith("after") else [*done, (method, "pass")])
            assert blind(proxy.log) == []
        after = await row_of(server, identity)
        assert after["name"]["givenName"] == "Richard"
        place = ("name", "givenName")
        assert without(after, place) == without(before, place)
        server.reset()


@pytest.mark.parametrize("action", LOSSES)
@pytest.mark.parametrize("change", ["deactivate", "delete", "replace"])
async def test_other_lost_writes_are_looked_at(server: Peer, action: Name, change: str) -> None:
    methods = {"deactivate": "PATCH", "delete": "DELETE", "replace": "PUT"}
    identity = await make_rich(server)
    async with LosingProxy(server.origin, nth(1, {methods[change]}, action)) as proxy:
        async with client(server.by(proxy.origin)) as scim:
            if change == "deactivate":
                assert (await scim.users.deactivate(identity)).result == "deactivated"
            elif change == "delete":
                await scim.users.delete(identity)
            else:
                user = ScimUser("rich@example.com", given_name="Given", email="r@example.com")
                made = await scim.users.replace(identity, user)
                assert (made.id, made.given_name) == (identity, "Given")
        assert len(written(proxy)) == (1 if action.endswith("after") else 2)
        assert blind(proxy.log) == []
    rows = await all_users(server)
    if change == "deactivate":
        assert [row["active"] for row in rows] == [False]
    elif change == "delete":
        assert rows == []
    else:
        assert [row["name"]["givenName"] for row in rows] == ["Given"]
        assert "title" not in rows[0]


@pytest.mark.parametrize("mode", ["put", "patch"])
async def test_somebody_else_changes_the_user_between_look_and_write(
    mode: UpdateMode, peers: Peers
) -> None:
    """scim2-server honours If-Match: the other one's change survives."""
    server = peers.empty("scim2-server")
    identity = await make_rich(server)
    async with LosingProxy(server.origin) as proxy:
        meddled: list[int] = []

        def script(_: int, method: str, path: str) -> Name:
            if method == mode.upper() and not meddled:
                body = {
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                    "Operations": [{"op": "replace", "path": "title", "value": "Other"}],
                }
                meddled.append(quickly(server, "PATCH", f"/Users/{identity}", body))
            return "pass"

        proxy.script = script
        async with client(server.by(proxy.origin), update_mode=mode) as scim:
            found = await scim.users.update(identity, given_name="Richard")
        assert found.result == "updated"
        statuses = [each.status for each in written(proxy)]
    assert meddled == [204]
    assert statuses in ([412, 200], [412, 204])
    row = await row_of(server, identity)
    assert (row["title"], row["name"]["givenName"]) == ("Other", "Richard")
