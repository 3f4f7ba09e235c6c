"""The simulator's SCIM over a socket, with plain aiohttp: not by the client that it judges."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, TypeAlias

import aiohttp
import pytest
from scim2_models import (
    URN,
    Context,
    EnterpriseUser,
    Error,
    Extension,
    Group,
    ListResponse,
    ServiceProviderConfig,
    User,
)

from kb4_async.testing import (
    Account,
    Fault,
    Limit,
    ScimRules,
    Simulator,
    SyncReportLine,
    delete_row,
    generate_account,
)

Record: TypeAlias = dict[str, Any]

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
KMSAT = "urn:ietf:params:scim:schemas:extension:knowbe4:kmsat:2.0:User"
UNKNOWN = "urn:example:2.0:User"
JANE: Record = {
    "schemas": [USER, ENTERPRISE, KMSAT],
    "userName": "Jane.Doe@example.test",
    "name": {"givenName": "Jane", "familyName": "Doe"},
    "title": "Engineer",
    "displayName": "Max Manager",
    "externalId": "emp-1",
    "emails": [{"type": "work", "value": "jane@example.com", "primary": True}],
    "phoneNumbers": [
        {"type": "work", "value": "555-1"},
        {"type": "mobile", "value": "555-2"},
        {"type": "fax", "value": "555-3"},
    ],
    "addresses": [{"type": "work", "formatted": "Tampa Bay", "locality": "Tampa"}],
    ENTERPRISE: {
        "employeeNumber": "1001",
        "department": "Sales",
        "division": "East",
        "organization": "Example, Inc",
        "manager": {"value": "max@example.test"},
        "costCenter": "77",
    },
    KMSAT: {
        "customField1": "one",
        "customField4": "four",
        "customDate1": "2026-05-04T00:00:00Z",
        "phishingLanguage": "de-DE",
        "trainingLanguage": "fr-FR",
        "userRole": "Team Lead",
    },
}
IN_REPORTING: Record = {
    "email": "Jane.Doe@example.test",
    "first_name": "Jane",
    "last_name": "Doe",
    "job_title": "Engineer",
    "manager_name": "Max Manager",
    "manager_email": "max@example.test",
    "phone_number": "555-1",
    "mobile_phone_number": "555-2",
    "location": "Tampa Bay",
    "employee_number": "1001",
    "department": "Sales",
    "division": "East",
    "organization": "Example, Inc",
    "custom_field_1": "one",
    "custom_field_2": None,
    "custom_field_4": "four",
    "custom_date_1": "2026-05-04",
    "language": "de-DE",
    "assigned_training_language": "fr-FR",
    "status": "active",
    "archived_at": None,
    "groups": [],
}


@dataclass(frozen=True)
class Got:
    status: int
    type: str
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True)
class Caller:
    """One session with a SCIM token, and the key of the same account."""

    sim: Simulator
    session: aiohttp.ClientSession

    async def call(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **options: Any
    ) -> Got:
        headers = {"Authorization": f"Bearer {token or self.sim.scim_token}"}
        if body is not None:
            headers["Content-Type"] = "application/scim+json"
            options["data"] = body if isinstance(body, str | bytes) else json.dumps(body)
        headers |= options.pop("headers", {})
        address = f"{self.sim.tenant_url}/{path}"
        async with self.session.request(method, address, headers=headers, **options) as response:
            return Got(response.status, response.content_type, await response.text())

    async def post_user(self, **fields: Any) -> Record:
        got = await self.call("POST", "Users", {"schemas": [USER], **fields})
        assert got.status == 201, got
        return dict(got.json)

    async def post_group(self, name: str, *members: str) -> Record:
        listed = [{"value": each} for each in members]
        got = await self.call("POST", "Groups", {"displayName": name, "members": listed})
        assert got.status == 201, got
        return dict(got.json)

    async def patch(self, path: str, *operations: Record) -> Got:
        return await self.call(
            "PATCH", path, {"schemas": [PATCH_OP], "Operations": list(operations)}
        )

    async def listed(self, path: str, **query: Any) -> list[Record]:
        got = await self.call("GET", path, params=query)
        assert got.status == 200, got
        return list(got.json["Resources"])

    async def find(self, name: str) -> list[Record]:
        return await self.listed("Users", filter=f"userName eq {json.dumps(name)}")

    async def reporting(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.sim.api_key}"}
        async with self.session.get(f"{self.sim.base_url}/{path}", headers=headers) as response:
            assert response.status == 200
            return await response.json()

    async def reported(self, name: str) -> Record:
        users = await self.reporting("users?per_page=500")
        (found,) = [user for user in users if user["email"] == name]
        return dict(found)

    async def reported_group(self, name: str) -> Record:
        groups = await self.reporting("groups?per_page=500")
        (found,) = [group for group in groups if group["name"] == name]
        return dict(found)


@asynccontextmanager
async def calling(account: Account | None = None, **options: Any) -> AsyncIterator[Caller]:
    account = account or generate_account(users=30, groups=4)
    async with (
        Simulator(account, **({"limits": ()} | options)) as sim,
        aiohttp.ClientSession() as session,
    ):
        yield Caller(sim, session)


def rules(**values: Any) -> dict[str, Any]:
    return {"scim": ScimRules(**values)}


# Keys, limits, the log.


async def test_a_token_opens_scim_alone_and_a_key_the_reporting_api_alone() -> None:
    async with calling() as scim:
        refused = await scim.call("GET", "Users", token=scim.sim.api_key)
        headers = {"Authorization": f"Bearer {scim.sim.scim_token}"}
        async with scim.session.get(f"{scim.sim.base_url}/users", headers=headers) as response:
            assert response.status == 401
        assert (refused.status, refused.type) == (401, "application/scim+json")
        assert refused.json["status"] == "401"
        assert (await scim.call("GET", "Users", token="no token")).status == 401
        assert (await scim.call("GET", "Users")).status == 200
        assert [entry.key_ok for entry in scim.sim.log] == [False, False, False, True]


async def test_each_is_counted_against_its_own_limits() -> None:
    options: Any = {"limits": (Limit(1, 60.0),), "scim_limits": (Limit(2, 60.0),)}
    async with calling(retry_after=True, **options) as scim:
        statuses = [(await scim.call("GET", "Users?count=1")).status for _ in range(2)]
        refused = await scim.call("GET", "Users?count=1")
        await scim.reporting("account")
        again = await scim.call("GET", "Users", token=scim.sim.api_key)

        assert statuses == [200, 200]
        assert refused.status == 429
        assert refused.json["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
        assert again.status == 429, "a wrong key is counted before it is refused"


async def test_a_write_that_is_refused_for_its_rate_does_not_take_place() -> None:
    async with calling(scim_limits=(Limit(0, 60.0),)) as scim:
        got = await scim.call("POST", "Users", JANE)

        assert got.status == 429
        assert len(await scim.reporting("users?per_page=500")) == 30


async def test_the_log_keeps_paths_methods_and_bodies() -> None:
    async with calling() as scim:
        user = await scim.post_user(userName="a@b.test")
        await scim.find("a@b.test")
        await scim.call("PUT", f"Users/{user['id']}", "{no json")

        assert [entry.path for entry in scim.sim.requests("Users")] == ["scim/v2/Users"] * 2
        assert scim.sim.requests("Users/*")[0].path == f"scim/v2/Users/{user['id']}"
        (post,) = scim.sim.requests("Users", method="POST")
        assert post.body == {"schemas": [USER], "userName": "a@b.test"}
        assert [entry.body for entry in scim.sim.log[1:]] == [None, None]
        assert scim.sim.log[1].rows == 1
        assert "a@b.test" not in repr(post), "bodies are personal data"


async def test_a_revoked_token_opens_nothing() -> None:
    async with calling() as scim:
        scim.sim.revoke(scim.sim.scim_token)

        assert (await scim.call("GET", "Users")).status == 401


async def test_further_accounts_have_tokens_of_their_own() -> None:
    other = generate_account(3, users=3, groups=1)
    async with calling() as scim:
        scim.sim.add_account("other key", other, scim_token="other token")
        got = await scim.call("GET", "Users", token="other token")

        assert got.json["totalResults"] == 3


async def test_without_sso_every_call_is_forbidden() -> None:
    async with calling(**rules(sso=False)) as scim:
        assert (await scim.call("GET", "Users")).status == 403
        assert (await scim.call("POST", "Users", JANE)).status == 403
        assert (await scim.call("GET", "ServiceProviderConfig")).status == 403


# Users.


async def test_a_created_user_shows_in_the_reporting_api() -> None:
    async with calling() as scim:
        got = await scim.call("POST", "Users", JANE)
        reported = await scim.reported("Jane.Doe@example.test")

        assert (got.status, got.type) == (201, "application/scim+json")
        assert {name: reported[name] for name in IN_REPORTING} == IN_REPORTING
        assert reported["provisioning_managed"] is True
        assert got.json["id"] != str(reported["id"])
        served = {name: got.json[name] for name in JANE}
        assert served == JANE
        again = await scim.call("GET", f"Users/{got.json['id']}")
        assert again.json == got.json
        assert got.json["meta"]["location"] == f"{scim.sim.tenant_url}/Users/{got.json['id']}"


async def test_what_only_scim_knows_is_kept_and_served() -> None:
    odd = {"userName": "odd@x.test", "favouriteColour": {"Hue": 1}, UNKNOWN: {"Pet": "cat"}}
    async with calling() as scim:
        user = await scim.post_user(**odd, userType="Contractor")
        await scim.patch(f"Users/{user['id']}", {"op": "add", "path": f"{UNKNOWN}:age", "value": 3})
        got = (await scim.call("GET", f"Users/{user['id']}")).json

        assert got["favouriteColour"] == {"Hue": 1}
        assert got["userType"] == "Contractor"
        assert got[UNKNOWN] == {"Pet": "cat", "age": 3}
        assert UNKNOWN in got["schemas"]


async def test_generated_users_are_there_by_stable_ids() -> None:
    account = generate_account(users=230, groups=4)
    async with calling(account) as scim:
        ids: list[str] = []
        start = 1
        while rows := await scim.listed("Users", startIndex=start, count=50):
            ids += [row["id"] for row in rows]
            start += len(rows)
        first = await scim.call("GET", f"Users/{ids[0]}")
        account.users.update(account.users[0]["id"], first_name="Other")
        changed = await scim.call("GET", f"Users/{ids[0]}")

        assert len(set(ids)) == 230
        assert first.json["userName"] == account.users[0]["email"]
        assert changed.json["name"]["givenName"] == "Other"
        assert changed.json["id"] == ids[0]


async def test_the_filter_finds_a_name_in_any_case_and_with_anything_in_it() -> None:
    awkward = 'o"brien\\x+y z@ü.test'
    async with calling() as scim:
        await scim.post_user(userName=awkward)

        assert [user["userName"] for user in await scim.find(awkward.upper())] == [awkward]
        assert await scim.find("nobody@x.test") == []
        escaped = awkward.replace("\\", "\\\\").replace('"', '\\"')
        text = f'USERNAME Eq "{escaped}"'
        assert len(await scim.listed("Users", filter=text)) == 1
        for wrong in (
            'userName eqq "x"',
            'externalId eq "x"',
            "userName eq x",
            'userName eq "a"b"',
        ):
            got = await scim.call("GET", "Users", params={"filter": wrong})
            assert (got.status, got.json["scimType"]) == (400, "invalidFilter"), wrong


async def test_pages_count_from_one() -> None:
    async with calling() as scim:
        page = (await scim.call("GET", "Users", params={"startIndex": 29, "count": 10})).json
        zero = (await scim.call("GET", "Users", params={"startIndex": 0, "count": -1})).json
        past = (await scim.call("GET", "Users", params={"startIndex": 99})).json
        bad = await scim.call("GET", "Users", params={"startIndex": "abc"})

        assert (page["totalResults"], page["itemsPerPage"], page["startIndex"]) == (30, 2, 29)
        assert len(page["Resources"]) == 2
        assert (zero["totalResults"], zero["startIndex"], zero["Resources"]) == (30, 1, [])
        assert past["Resources"] == []
        assert (bad.status, bad.json["scimType"]) == (400, "invalidValue")


async def test_a_user_deleted_between_two_pages_lets_another_one_slip() -> None:
    async with calling() as scim:
        names = [user["email"] for user in scim.sim.account.users]
        scim.sim.drift.add(delete_row("users", "front"), path="Users", method="GET")
        first = await scim.listed("Users", count=10)
        second = await scim.listed("Users", startIndex=11, count=10)

        assert [user.get("userName") for user in first] == names[:10]
        assert [user.get("userName") for user in second] == names[11:21]


async def test_long_bodies_arrive() -> None:
    async with calling() as scim:
        body = json.dumps({"userName": "a@x.test", "note": "x" * 3_000_000}).encode()
        headers = {"Content-Type": "application/scim+json"}
        got = await scim.call("POST", "Users", data=BytesIO(body), headers=headers)

        assert got.status == 201
        assert len(got.json["note"]) == 3_000_000


async def test_attributes_can_be_left_out() -> None:
    async with calling() as scim:
        user = await scim.post_user(**{name: JANE[name] for name in JANE if name != "schemas"})
        less = await scim.call("GET", f"Users/{user['id']}?excludedAttributes=emails,NAME,id")
        few = await scim.call("GET", f"Users/{user['id']}?attributes=userName")

        assert not {"emails", "name"} & set(less.json)
        assert less.json["id"] == user["id"]
        assert set(few.json) == {"schemas", "id", "userName"}


@pytest.mark.parametrize(
    ("body", "status", "scim_type"),
    [
        ({"name": {}}, 400, "invalidValue"),
        ({"userName": " "}, 400, "invalidValue"),
        ({"userName": "a@x.test", "active": "False"}, 400, "invalidValue"),
        ({"userName": "a@x.test", "title": 7}, 400, "invalidValue"),
        ({"userName": "a@x.test", "phoneNumbers": {"value": "1"}}, 400, "invalidValue"),
        ({"userName": "a@x.test", KMSAT: {"customDate1": "soon"}}, 400, "invalidValue"),
        ("[]", 400, "invalidSyntax"),
        ('{"userName"', 400, "invalidSyntax"),
    ],
)
async def test_bad_users_are_refused(body: Any, status: int, scim_type: str) -> None:
    async with calling() as scim:
        got = await scim.call("POST", "Users", body)

        assert (got.status, got.json["scimType"]) == (status, scim_type)
        assert got.json["status"] == str(status), "RFC 7644 3.12 has a string"
        assert got.json["detail"]
        assert len(scim.sim.account.users) == 30


async def test_a_name_is_taken_in_any_case_archived_or_not() -> None:
    async with calling() as scim:
        user = await scim.post_user(userName="jane@x.test")
        other = await scim.post_user(userName="joan@x.test")
        taken = await scim.call("POST", "Users", {"userName": "JANE@x.test"})
        await scim.patch(f"Users/{user['id']}", {"op": "replace", "path": "active", "value": False})
        archived = await scim.call("POST", "Users", {"userName": "jane@x.test"})
        put = await scim.call("PUT", f"Users/{other['id']}", {"userName": "jane@x.test"})
        patch = await scim.patch(
            f"Users/{other['id']}", {"op": "replace", "value": {"userName": "jane@x.test"}}
        )
        generated = await scim.call(
            "POST", "Users", {"userName": scim.sim.account.users[0]["email"]}
        )

        for got in (taken, archived, put, patch, generated):
            assert (got.status, got.json["scimType"]) == (409, "uniqueness")


async def test_a_put_blanks_what_it_does_not_name() -> None:
    async with calling() as scim:
        user = (await scim.call("POST", "Users", JANE)).json
        body = {"userName": JANE["userName"], "title": None, ENTERPRISE: {"department": "Legal"}}
        got = await scim.call("PUT", f"Users/{user['id']}", body)
        reported = await scim.reported(JANE["userName"])

        assert got.status == 200
        left = {name: value for name, value in got.json.items() if name not in {"meta", "schemas"}}
        assert left == {
            "id": user["id"],
            "userName": JANE["userName"],
            "active": True,
            ENTERPRISE: {"department": "Legal"},
        }
        blank = set(IN_REPORTING) - {"email", "department", "status", "groups"}
        assert {reported[name] for name in blank} == {None}
        assert reported["department"] == "Legal"
        assert got.json["meta"]["lastModified"] > user["meta"]["lastModified"]


async def test_names_are_read_in_any_case() -> None:
    async with calling() as scim:
        got = await scim.call(
            "POST",
            "Users",
            {
                "USERNAME": "c@x.test",
                "Name": {"GIVENNAME": "C"},
                "phonenumbers": [{"TYPE": "Work", "Value": "1"}],
                ENTERPRISE.upper(): {"Department": "IT"},
            },
        )
        await scim.call(
            "PATCH",
            f"Users/{got.json['id']}",
            {
                "Schemas": [PATCH_OP],
                "operations": [{"OP": "Replace", "Path": "TITLE", "value": "T"}],
            },
        )
        reported = await scim.reported("c@x.test")

        assert (reported["first_name"], reported["phone_number"]) == ("C", "1")
        assert (reported["department"], reported["job_title"]) == ("IT", "T")


@pytest.mark.parametrize(
    ("operation", "field", "value"),
    [
        ({"op": "replace", "path": "title", "value": "VP"}, "job_title", "VP"),
        ({"op": "remove", "path": "title"}, "job_title", None),
        ({"op": "replace", "path": "name.givenName", "value": "J"}, "first_name", "J"),
        ({"op": "add", "path": f"{ENTERPRISE}:department", "value": "IT"}, "department", "IT"),
        (
            {"op": "replace", "path": f"{ENTERPRISE}:manager.value", "value": "m@x.test"},
            "manager_email",
            "m@x.test",
        ),
        ({"op": "replace", "path": f"{KMSAT}:customField1", "value": "1"}, "custom_field_1", "1"),
        (
            {"op": "replace", "path": 'phoneNumbers[type eq "work"].value', "value": "9"},
            "phone_number",
            "9",
        ),
        ({"op": "remove", "path": 'phoneNumbers[type eq "mobile"]'}, "mobile_phone_number", None),
        ({"op": "remove", "path": "addresses"}, "location", None),
        ({"op": "replace", "value": {"title": None, "id": "x"}}, "job_title", None),
        ({"op": "replace", "value": {"name": {"familyName": "D"}}}, "last_name", "D"),
        ({"op": "add", "value": {"name.familyName": "E"}}, "last_name", "E"),
        ({"op": "replace", "value": {ENTERPRISE: {"division": "W"}}}, "division", "W"),
        ({"op": "remove", "path": KMSAT}, "custom_field_4", None),
        ({"op": "replace", "path": f"{USER}:userName", "value": JANE["userName"]}, "title", None),
    ],
)
async def test_a_patch_changes_one_thing(operation: Record, field: str, value: Any) -> None:
    async with calling() as scim:
        user = (await scim.call("POST", "Users", JANE)).json
        got = await scim.patch(f"Users/{user['id']}", operation)
        reported = await scim.reported(JANE["userName"])

        assert got.status == 200, got
        assert reported.get(field) == value
        kept = set(IN_REPORTING) - {field}
        if operation["path" if "path" in operation else "op"] != KMSAT:
            assert {n: reported[n] for n in kept} == {n: IN_REPORTING[n] for n in kept}


@pytest.mark.parametrize(
    ("body", "scim_type"),
    [
        ({"active": False}, "invalidSyntax"),
        ({"Operations": [{"op": "remove", "path": "title"}]}, "invalidSyntax"),
        ({"schemas": [PATCH_OP]}, "invalidSyntax"),
        ({"schemas": [PATCH_OP], "Operations": []}, "invalidSyntax"),
    ],
)
async def test_what_is_no_patch_is_refused(body: Record, scim_type: str) -> None:
    async with calling() as scim:
        user = await scim.post_user(userName="a@x.test")
        got = await scim.call("PATCH", f"Users/{user['id']}", body)

        assert (got.status, got.json["scimType"]) == (400, scim_type)


@pytest.mark.parametrize(
    ("bad", "scim_type"),
    [
        ({"op": "frobnicate", "path": "title", "value": "x"}, "invalidSyntax"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "replace", "path": 'emails[type eq "home"].value', "value": "x"}, "noTarget"),
        ({"op": "replace", "path": "emails[type eq", "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
        ({"op": "replace", "path": "active", "value": "False"}, "invalidValue"),
        ({"op": "replace", "value": "x"}, "invalidValue"),
        ({"op": "remove", "path": "userName"}, "invalidValue"),
    ],
)
async def test_a_patch_is_atomic(bad: Record, scim_type: str) -> None:
    async with calling() as scim:
        user = (await scim.call("POST", "Users", JANE)).json
        got = await scim.patch(
            f"Users/{user['id']}", {"op": "replace", "path": "title", "value": "no"}, bad
        )

        assert (got.status, got.json["scimType"]) == (400, scim_type)
        assert (await scim.reported(JANE["userName"]))["job_title"] == "Engineer"
        assert (await scim.call("GET", f"Users/{user['id']}")).json == user


async def test_active_archives_and_brings_back() -> None:
    async with calling() as scim:
        user = await scim.post_user(userName="a@x.test")
        path = f"Users/{user['id']}"
        off = await scim.patch(path, {"op": "replace", "path": "active", "value": False})
        gone = await scim.reported("a@x.test")
        on = await scim.patch(path, {"op": "Replace", "value": {"active": True}})
        back = await scim.reported("a@x.test")

        assert off.json["active"] is False
        assert gone["status"] == "archived"
        assert gone["archived_at"].endswith("Z")
        assert on.json["active"] is True
        assert (back["status"], back["archived_at"]) == ("active", None)
        assert back["id"] == gone["id"]


async def test_delete_archives() -> None:
    async with calling() as scim:
        user = await scim.post_user(userName="a@x.test")
        path = f"Users/{user['id']}"
        got = await scim.call("DELETE", path)

        assert (got.status, got.text) == (204, "")
        assert (await scim.reported("a@x.test"))["status"] == "archived"
        assert (await scim.call("GET", path)).json["active"] is False
        assert (await scim.call("POST", "Users", {"userName": "a@x.test"})).status == 409
        back = await scim.patch(path, {"op": "replace", "path": "active", "value": True})
        assert back.json["active"] is True
        assert (await scim.call("DELETE", path)).status == 204
        scim.sim.scim_rules = replace(scim.sim.scim_rules, after_delete="not_found")
        assert (await scim.call("GET", path)).status == 404
        assert (await scim.call("DELETE", path)).status == 404
        assert await scim.find("a@x.test") == []
        assert len(await scim.listed("Users")) == 30
        assert (await scim.call("POST", "Users", {"userName": "a@x.test"})).status == 409


async def test_unknown_ids_paths_and_methods() -> None:
    async with calling() as scim:
        for method in ("GET", "DELETE"):
            assert (await scim.call(method, "Users/no-such-id")).status == 404
        assert (await scim.call("PUT", "Users/7", {"userName": "x"})).status == 404
        assert (await scim.patch("Groups/7", {"op": "remove", "path": "members"})).status == 404
        assert (await scim.call("GET", "Schemas")).status == 404
        assert (await scim.call("POST", "Users/7", {})).status == 405
        assert (await scim.call("DELETE", "Users")).status == 405
        group = await scim.post_group("G")
        assert (await scim.call("GET", f"Users/{group['id']}")).status == 404


async def test_media_types() -> None:
    body = json.dumps({"userName": "a@x.test"})
    async with calling() as scim:
        text = await scim.call("POST", "Users", body, headers={"Content-Type": "text/plain"})
        plain = await scim.call(
            "POST", "Users", body, headers={"Content-Type": "application/json; charset=utf-8"}
        )

        assert text.status == 415
        assert plain.status == 201


async def test_six_at_once_make_one_user() -> None:
    async with calling() as scim:
        async with asyncio.TaskGroup() as group:
            calls = [
                group.create_task(scim.call("POST", "Users", {"userName": "a@x.test"}))
                for _ in range(6)
            ]

        assert sorted(call.result().status for call in calls) == [201] + [409] * 5


# Groups.


async def test_members_show_in_the_reporting_api() -> None:
    async with calling() as scim:
        ids = [(await scim.post_user(userName=f"u{number}@x.test"))["id"] for number in range(4)]
        group = await scim.post_group("Engineering", ids[0])
        path = f"Groups/{group['id']}"
        added = await scim.patch(
            path,
            {"op": "add", "path": "members", "value": [{"value": ids[1]}, {"value": ids[2]}]},
            {"op": "add", "path": "members", "value": {"value": ids[3]}},
            {"op": "remove", "path": f'members[value eq "{ids[0]}"]'},
        )
        reported = await scim.reported_group("Engineering")
        members = await scim.reporting(f"groups/{reported['id']}/members?per_page=500")
        single = await scim.reporting(f"groups/{reported['id']}")

        assert [member["value"] for member in added.json["members"]] == ids[1:]
        assert reported["member_count"] == single["member_count"] == 3
        assert [member["email"] for member in members] == [f"u{n}@x.test" for n in (1, 2, 3)]
        assert (await scim.reported("u1@x.test"))["groups"] == [reported["id"]]
        assert (await scim.reported("u0@x.test"))["groups"] == []
        user = (await scim.call("GET", f"Users/{ids[1]}")).json
        assert [(each["value"], each["display"]) for each in user["groups"]] == [
            (group["id"], "Engineering")
        ]
        await scim.call("DELETE", f"Users/{ids[1]}")
        assert (await scim.reported_group("Engineering"))["member_count"] == 3


async def test_generated_groups_have_their_members() -> None:
    account = generate_account(users=200, groups=6)
    async with calling(account) as scim:
        groups = await scim.listed("Groups")
        names = {user["id"]: user["userName"] for user in await scim.listed("Users", count=500)
                 if "userName" in user}  # fmt: skip

        assert [group["displayName"] for group in groups] == [g["name"] for g in account.groups]
        for group, known in zip(groups, account.groups, strict=True):
            wanted = [user["email"] for user in account.members[known["id"]]]
            members = group.get("members", [])
            assert [names.get(member["value"]) for member in members] == wanted
            assert len(members) == known["member_count"]


async def test_members_are_replaced_and_removed() -> None:
    async with calling() as scim:
        ids = [(await scim.post_user(userName=f"u{number}@x.test"))["id"] for number in range(3)]
        group = await scim.post_group("G", *ids[:2])
        path = f"Groups/{group['id']}"

        async def members(*operations: Record) -> list[str]:
            got = await scim.patch(path, *operations)
            assert got.status == 200, got
            return [member["value"] for member in got.json.get("members", [])]

        values = [{"value": each} for each in ids]
        replace_all = {"op": "replace", "path": "members", "value": values[1:]}
        assert await members(replace_all) == ids[1:]
        assert await members({"op": "add", "value": {"members": values}}) == ids
        assert await members({"op": "add", "path": "members", "value": values}) == ids
        assert await members({"op": "remove", "path": "members", "value": values[:1]}) == ids[1:]
        two = f'members[value eq "{ids[1]}" or value eq "{ids[0]}"]'
        assert await members({"op": "remove", "path": two}) == ids[2:]
        assert await members({"op": "remove", "path": "members"}) == []
        assert (await scim.reported_group("G"))["member_count"] == 0


async def test_groups_are_renamed_and_deleted() -> None:
    async with calling() as scim:
        user = await scim.post_user(userName="a@x.test")
        group = await scim.post_group("G", user["id"])
        path = f"Groups/{group['id']}"
        await scim.patch(path, {"op": "Replace", "path": "displayName", "value": "H"})
        await scim.patch(path, {"op": "replace", "value": {"id": group["id"], "externalId": "e"}})
        renamed = (await scim.call("GET", path)).json
        put = await scim.call("PUT", path, {"displayName": "I"})

        assert (renamed["displayName"], renamed["externalId"]) == ("H", "e")
        assert len(renamed["members"]) == 1
        assert set(put.json) == {"schemas", "id", "displayName", "meta"}
        assert (await scim.reported_group("I"))["member_count"] == 0
        assert (await scim.call("DELETE", path)).status == 204
        assert (await scim.call("GET", path)).status == 404
        assert len(await scim.reporting("groups")) == 4
        fresh = await scim.post_group("J")
        assert fresh["id"] != group["id"]


async def test_a_deleted_group_leaves_no_trace_in_users() -> None:
    async with calling() as scim:
        user = await scim.post_user(userName="a@x.test")
        group = await scim.post_group("G", user["id"])
        await scim.call("DELETE", f"Groups/{group['id']}")

        assert (await scim.reported("a@x.test"))["groups"] == []


async def test_group_names_need_not_be_unique() -> None:
    async with calling() as scim:
        await scim.post_group("Engineering")
        await scim.post_group("Engineering")
        text = 'displayName eq "engineering"'
        found = await scim.listed("Groups", filter=text, excludedAttributes="members")

        assert len(found) == 2
        assert all("members" not in group for group in found)
        scim.sim.scim_rules = replace(scim.sim.scim_rules, unique_groups=True)
        assert (await scim.call("POST", "Groups", {"displayName": "Engineering"})).status == 409


async def test_unknown_members_and_nameless_groups_are_refused() -> None:
    async with calling() as scim:
        group = await scim.post_group("G")
        add = {"op": "add", "path": "members", "value": [{"value": group["id"]}]}
        nested = await scim.patch(f"Groups/{group['id']}", add)
        posted = await scim.call(
            "POST", "Groups", {"displayName": "H", "members": [{"value": "7"}]}
        )
        nameless = await scim.call("POST", "Groups", {"members": []})

        for got in (nested, posted, nameless):
            assert (got.status, got.json["scimType"]) == (400, "invalidValue")
        assert len(scim.sim.account.groups) == 5


# The rules.


async def test_rule_duplicate_users() -> None:
    async with calling(**rules(unique_users=False)) as scim:
        ids = {(await scim.post_user(userName="a@x.test"))["id"] for _ in range(2)}

        assert {user["id"] for user in await scim.find("A@x.test")} == ids
        assert len(ids) == 2


async def test_rule_conflicts_without_scim_type() -> None:
    async with calling(**rules(conflict_scim_type=False)) as scim:
        await scim.post_user(userName="a@x.test")
        got = await scim.call("POST", "Users", {"userName": "a@x.test"})

        assert got.status == 409
        assert "scimType" not in got.json
        assert "scimType" in (await scim.call("POST", "Users", {})).json


@pytest.mark.parametrize(("filters", "found"), [("ignored", 31), ("empty", 0), ("case_exact", 0)])
async def test_rule_filters(filters: Any, found: int) -> None:
    async with calling(**rules(filters=filters)) as scim:
        await scim.post_user(userName="a@x.test")
        await scim.post_group("G")
        listed = await scim.listed("Groups", filter='displayName eq "g"')

        assert len(await scim.find("A@x.test")) == found
        assert len(listed) == {31: 5, 0: 0}[found]
        exact = await scim.find("a@x.test")
        assert len(exact) == (1 if filters == "case_exact" else found)


async def test_rule_hidden_others() -> None:
    async with calling(**rules(shows_others=False)) as scim:
        name = scim.sim.account.users[0]["email"]
        mine = await scim.post_user(userName="a@x.test")

        assert [user["id"] for user in await scim.listed("Users")] == [mine["id"]]
        assert await scim.find(name) == []
        assert (await scim.call("POST", "Users", {"userName": name})).status == 409


async def test_rules_of_paging() -> None:
    async with calling(**rules(page_cap=7, total="page")) as scim:
        page = (await scim.call("GET", "Users?count=100")).json
        assert (page["itemsPerPage"], page["totalResults"], len(page["Resources"])) == (7, 7, 7)

        scim.sim.scim_rules = ScimRules(total="missing", past_end="first_page", page_size=4)
        page = (await scim.call("GET", "Users?startIndex=31")).json
        assert "totalResults" not in page
        assert (page["startIndex"], len(page["Resources"])) == (1, 4)
        assert page["Resources"] == await scim.listed("Users", count=4)


async def test_rule_patch_answers_204() -> None:
    async with calling(**rules(patch_answers=204)) as scim:
        user = await scim.post_user(userName="a@x.test")
        group = await scim.post_group("G")
        one = await scim.patch(
            f"Users/{user['id']}", {"op": "replace", "path": "title", "value": "T"}
        )
        other = await scim.patch(
            f"Groups/{group['id']}",
            {"op": "add", "path": "members", "value": {"value": user["id"]}},
        )

        assert [(got.status, got.text) for got in (one, other)] == [(204, "")] * 2
        assert (await scim.reported("a@x.test"))["job_title"] == "T"
        assert (await scim.reported_group("G"))["member_count"] == 1


async def test_rules_of_members() -> None:
    settings: Any = {"members_shown": 2, "max_members_per_patch": 3, "duplicate_members": True}
    async with calling(**rules(**settings)) as scim:
        ids = [(await scim.post_user(userName=f"u{number}@x.test"))["id"] for number in range(4)]
        group = await scim.post_group("G")
        path = f"Groups/{group['id']}"

        def add(*members: str) -> Record:
            return {"op": "add", "path": "members", "value": [{"value": each} for each in members]}

        many = await scim.patch(path, add(*ids[:2]), add(*ids[2:]))
        await scim.patch(path, add(*ids[:3]))
        await scim.patch(path, add(ids[0]))
        shown = (await scim.call("GET", path)).json["members"]
        scim.sim.scim_rules = ScimRules()
        stored = (await scim.call("GET", path)).json["members"]

        assert many.status == 400
        assert [member["value"] for member in shown] == [ids[0], ids[0]]
        assert [member["value"] for member in stored] == [ids[0], *ids[:3]]
        assert (await scim.reported_group("G"))["member_count"] == 3
        await scim.patch(path, {"op": "remove", "path": f'members[value eq "{ids[0]}"]'})
        left = (await scim.call("GET", path)).json["members"]
        assert [member["value"] for member in left] == ids[1:3]


@pytest.mark.parametrize("form", ["filter", "value"])
async def test_rule_member_removal(form: Any) -> None:
    async with calling(**rules(member_removal=form)) as scim:
        user = await scim.post_user(userName="a@x.test")
        group = await scim.post_group("G", user["id"])
        path = f"Groups/{group['id']}"
        operations: dict[str, Record] = {
            "filter": {"op": "remove", "path": f'members[value eq "{user["id"]}"]'},
            "value": {"op": "remove", "path": "members", "value": [{"value": user["id"]}]},
        }
        good = operations.pop(form)
        (bad,) = operations.values()

        assert (await scim.patch(path, bad)).status == 400
        assert (await scim.reported_group("G"))["member_count"] == 1
        assert (await scim.patch(path, good)).status == 200
        assert (await scim.reported_group("G"))["member_count"] == 0


async def test_rule_numeric_ids() -> None:
    async with calling(**rules(numeric_ids=True)) as scim:
        user = await scim.post_user(userName="a@x.test")
        got = await scim.call("GET", f"Users/{user['id']}")
        group = await scim.post_group("G")
        add = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}
        members = (await scim.patch(f"Groups/{group['id']}", add)).json["members"]

        assert isinstance(user["id"], int)
        assert got.json == user
        assert members[0]["value"] == user["id"]


async def test_rule_hidden_kmsat() -> None:
    async with calling(**rules(hide_kmsat=True)) as scim:
        user = (await scim.call("POST", "Users", JANE)).json
        got = (await scim.call("GET", f"Users/{user['id']}")).json
        before = await scim.reported(JANE["userName"])
        await scim.call("PUT", f"Users/{user['id']}", got)
        after = await scim.reported(JANE["userName"])

        assert KMSAT not in user
        assert KMSAT not in got
        assert KMSAT not in got["schemas"]
        assert before["custom_field_1"] == "one"
        assert after["custom_field_1"] is None
        assert after["department"] == "Sales"


@pytest.mark.parametrize(
    ("style", "type_", "start"), [("html", "text/html", "<!"), ("empty", None, "")]
)
async def test_rule_error_style(style: Any, type_: str | None, start: str) -> None:
    async with calling(**rules(error_style=style)) as scim:
        for got in (
            await scim.call("POST", "Users", {}),
            await scim.call("GET", "Users/7"),
            await scim.call("GET", "Users", token="wrong"),
        ):
            assert got.status in {400, 401, 404}
            assert got.text[:2] == start
            assert type_ is None or got.type == type_


@pytest.mark.parametrize(("discovery", "status"), [(404, 404), (501, 501), ("html", 200)])
async def test_rule_discovery(discovery: Any, status: int) -> None:
    async with calling(**rules(discovery=discovery)) as scim:
        got = await scim.call("GET", "ServiceProviderConfig")

        assert got.status == status
        assert (got.type == "text/html") == (discovery == "html")


# Test Mode.


async def test_test_mode_reports_and_changes_nothing() -> None:
    async with calling() as scim:
        kept = await scim.post_user(userName="kept@x.test")
        group = await scim.post_group("G", kept["id"])
        before = scim.sim.account.version
        scim.sim.scim_rules = replace(scim.sim.scim_rules, test_mode=True)
        made = await scim.post_user(userName="new@x.test", title="T")
        made_group = await scim.post_group("New", made["id"])
        off = {"op": "replace", "path": "active", "value": False}
        statuses = [
            (await scim.patch(f"Users/{kept['id']}", off)).status,
            (await scim.patch(f"Users/{made['id']}", off)).status,
            (await scim.call("PUT", f"Users/{made['id']}", {"userName": "new@x.test"})).status,
            (
                await scim.patch(
                    f"Groups/{made_group['id']}",
                    {"op": "add", "path": "members", "value": [{"value": made["id"]}]},
                )
            ).status,
            (await scim.call("DELETE", f"Groups/{group['id']}")).status,
            (await scim.call("DELETE", f"Users/{kept['id']}")).status,
        ]
        refused = await scim.call("POST", "Users", {})

        assert statuses == [200, 200, 200, 200, 204, 204]
        assert (made["userName"], made["active"], made["title"]) == ("new@x.test", True, "T")
        assert scim.sim.account.version == before
        assert await scim.find("new@x.test") == []
        assert (await scim.call("GET", f"Users/{made['id']}")).status == 404
        assert (await scim.call("GET", f"Users/{kept['id']}")).json == {
            **kept,
            "groups": [
                {
                    "value": group["id"],
                    "$ref": f"{scim.sim.tenant_url}/Groups/{group['id']}",
                    "display": "G",
                }
            ],
        }
        assert refused.status == 400
        report = scim.sim.sync_report
        assert len(report) == 8
        body = {"schemas": [USER], "userName": "new@x.test", "title": "T"}
        assert report[0] == SyncReportLine("POST", "scim/v2/Users", body, 201)
        assert [line.method for line in report[-2:]] == ["DELETE", "DELETE"]
        scim.sim.scim_rules = replace(scim.sim.scim_rules, test_mode=False)
        assert (await scim.patch(f"Users/{made['id']}", off)).status == 404
        assert len(scim.sim.sync_report) == 8


# Lost answers.


@pytest.mark.parametrize(
    ("fault", "applied"),
    [
        (Fault.lost_before(), False),
        (Fault.reset(), True),
        (Fault.reset_in_body(), True),
        (Fault.hang(applied=False), False),
        (Fault.hang(), True),
        (Fault.html(502), True),
        (Fault.html(502, applied=False), False),
        (Fault.status(502, body=b"<html>", applied=False), False),
        (Fault.status(500), True),
        (Fault.rate_limit(1), False),
        (Fault.redirect(), False),
        (Fault.wrong_region(), False),
        (Fault.revoke(), False),
        (Fault.invalid_json(), True),
        (Fault.truncate(), True),
    ],
)
async def test_an_answer_is_lost_before_or_after_the_write(fault: Fault, applied: bool) -> None:
    async with calling() as scim:
        scim.sim.faults.add(fault, path="Users", method="POST")
        await scim.listed("Users", count=1)
        assert scim.sim.log[-1].fault is None
        timeout = aiohttp.ClientTimeout(total=0.2 if fault.kind == "hang" else 30)
        try:
            got = await scim.call(
                "POST", "Users", {"userName": "a@x.test"}, timeout=timeout, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError):
            assert fault.kind in {"reset", "reset_in_body", "hang", "truncate"}
        else:
            assert got.status == (201 if fault.kind == "invalid_json" else fault.code) or (
                fault.kind == "revoke" and got.status == 401
            )

        assert scim.sim.log[-1].fault == fault.kind
        names = [user["email"] for user in scim.sim.account.users]
        assert names.count("a@x.test") == applied


async def test_a_lost_group_that_is_posted_again_is_there_twice() -> None:
    async with calling() as scim:
        scim.sim.faults.add(Fault.reset(), path="Groups", method="POST")
        with pytest.raises(aiohttp.ClientError):
            await scim.post_group("G")
        await scim.post_group("G")

        assert len(await scim.listed("Groups", filter='displayName eq "G"')) == 2


# What another implementation says of it.


class KmsatUser(Extension):
    __schema__ = URN(KMSAT)

    custom_field_1: str | None = None
    custom_field_2: str | None = None
    custom_field_3: str | None = None
    custom_field_4: str | None = None
    custom_date_1: str | None = None
    custom_date_2: str | None = None
    phishing_language: str | None = None
    training_language: str | None = None
    user_role: str | None = None


KnownUser = User[EnterpriseUser | KmsatUser]


async def test_resources_and_lists_are_valid_scim() -> None:
    asked = Context.RESOURCE_QUERY_RESPONSE
    async with calling(generate_account(users=700, groups=12)) as scim:
        made = await scim.call("POST", "Users", JANE)
        KnownUser.model_validate(made.json, scim_ctx=Context.RESOURCE_CREATION_RESPONSE)
        group = await scim.post_group("G", made.json["id"])
        Group.model_validate(group, scim_ctx=Context.RESOURCE_CREATION_RESPONSE)
        patched = await scim.patch(f"Users/{made.json['id']}", {"op": "remove", "path": "title"})
        KnownUser.model_validate(patched.json, scim_ctx=Context.RESOURCE_PATCH_RESPONSE)
        one = await scim.call("GET", f"Users/{made.json['id']}")
        KnownUser.model_validate(one.json, scim_ctx=asked)

        users = await scim.call("GET", "Users?count=1000")
        page = ListResponse[KnownUser].model_validate(users.json, scim_ctx=asked)
        assert page.total_results == len(page.resources or ()) == 701
        groups = await scim.call("GET", "Groups")
        assert ListResponse[Group].model_validate(groups.json, scim_ctx=asked).total_results == 13
        none = await scim.call("GET", "Users", params={"filter": 'userName eq "no"'})
        ListResponse[KnownUser].model_validate(none.json, scim_ctx=asked)
        config = await scim.call("GET", "ServiceProviderConfig")
        ServiceProviderConfig.model_validate(config.json, scim_ctx=asked)
        for wrong in (
            await scim.call("POST", "Users", JANE),
            await scim.call("POST", "Users", {}),
            await scim.call("GET", "Users/7"),
            await scim.call("GET", "Users", token="wrong"),
        ):
            assert Error.model_validate(wrong.json).status == wrong.status
