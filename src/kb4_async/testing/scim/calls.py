"""What requests for users and for groups do. In Test Mode they pretend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kb4_async.testing.answers import Answer
from kb4_async.testing.scim.bodies import Resource, nothing, served
from kb4_async.testing.scim.groups import Groups
from kb4_async.testing.scim.listing import excludes, listed, projected
from kb4_async.testing.scim.membership import MEMBERS, Membership
from kb4_async.testing.scim.patching import operations, patched
from kb4_async.testing.scim.rules import ScimRules
from kb4_async.testing.scim.spelling import get, resource
from kb4_async.testing.scim.users import Users

INVALID: Any = object()


@dataclass(frozen=True, slots=True)
class ScimCall:
    """One request to SCIM.

    Attributes:
        method: the HTTP method.
        path: the path behind the Tenant URL, without the first slash.
        query: the query parameters.
        body: the JSON value sent; `INVALID` where the body is none.
        content_type: of the body, without parameters.
        address: the Tenant URL.
    """

    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    content_type: str
    address: str


class UserCalls:
    """What requests for users do."""

    def __init__(self, users: Users, groups: Groups) -> None:
        """Serve these users."""
        self.users = users
        self.groups = groups

    def show(self, origin: int, call: ScimCall, rules: ScimRules) -> Resource:
        """Return a user as served."""
        return self.shown(origin, self.users.document(origin), call, rules)

    def shown(self, origin: int, document: Resource, call: ScimCall, rules: ScimRules) -> Resource:
        """Return a user as served if the resource were this."""
        held = self.users.table.holds(origin)
        groups = self.groups.of_user(origin, rules, call.address) if held else []
        whole = self.users.present(origin, document, rules, call.address, groups)
        return projected(whole, call.query)

    def listed(self, call: ScimCall, rules: ScimRules, _: str) -> Answer:
        """Answer GET /Users."""
        origins = self.users.listed(rules, get(call.query, "filter"))
        return listed(origins, lambda origin: self.row(origin, call, rules), call.query, rules)

    def row(self, origin: int, call: ScimCall, rules: ScimRules) -> Resource:
        """Return a user as a list serves it."""
        whole = self.show(origin, call, rules)
        return {name: value for name, value in whole.items() if name not in rules.rows_lack}

    def one(self, call: ScimCall, rules: ScimRules, text: str) -> Answer:
        """Answer GET /Users/{id}."""
        return served(self.show(self.users.get(text, rules), call, rules))

    def before(self, text: str, rules: ScimRules) -> tuple[int, Resource]:
        """Return what is to be written to, and how it is."""
        phantom = self.users.find_phantom(text) if rules.test_mode else None
        if phantom is not None:
            return phantom, self.users.phantoms[phantom]
        origin = self.users.get(text, rules)
        return origin, self.users.document(origin)

    def create(self, call: ScimCall, rules: ScimRules, _: str) -> Answer:
        """Answer POST /Users."""
        document = resource(call.body)
        self.users.check(document, None, rules)
        keep = self.users.pretend if rules.test_mode else self.users.create
        origin = keep(document)
        return served(self.shown(origin, document, call, rules), 201)

    def replaced(self, call: ScimCall, rules: ScimRules, text: str) -> Answer:
        """Answer PUT /Users/{id}: what is not named is blanked, and active is true then."""
        origin, _ = self.before(text, rules)
        document = resource(call.body)
        return served(self.written(origin, document, call, rules))

    def patched(self, call: ScimCall, rules: ScimRules, text: str) -> Answer:
        """Answer PATCH /Users/{id}."""
        origin, document = self.before(text, rules)
        after = patched(document, operations(call.body))
        answer = self.written(origin, after, call, rules)
        return nothing() if rules.patch_answers == 204 else served(answer)

    def written(
        self, origin: int, document: Resource, call: ScimCall, rules: ScimRules
    ) -> Resource:
        """Write a user, and return it as served."""
        self.users.check(document, origin, rules)
        if not rules.test_mode:
            self.users.write(origin, document)
            return self.show(origin, call, rules)
        if origin in self.users.phantoms:
            self.users.phantoms[origin] = document
        return self.shown(origin, document, call, rules)

    def deleted(self, _: ScimCall, rules: ScimRules, text: str) -> Answer:
        """Answer DELETE /Users/{id}."""
        origin, _before = self.before(text, rules)
        if not rules.test_mode:
            self.users.delete(origin)
        return nothing()


class GroupCalls:
    """What requests for groups do."""

    def __init__(self, groups: Groups) -> None:
        """Serve these groups."""
        self.groups = groups

    def shown(
        self,
        origin: int,
        state: tuple[Resource, Sequence[int]] | None,
        call: ScimCall,
        rules: ScimRules,
    ) -> Resource:
        """Return a group as served, as it is or as it were in some state."""
        if state is None:
            members = [] if excludes(call.query, MEMBERS) else self.groups.members(origin)
            state = self.groups.document(origin), members
        whole = projected(self.groups.present(origin, *state, rules, call.address), call.query)
        if rules.excluded_members == "empty" and excludes(call.query, MEMBERS):
            whole[MEMBERS] = []
        return whole

    def listed(self, call: ScimCall, rules: ScimRules, _: str) -> Answer:
        """Answer GET /Groups."""
        origins = self.groups.listed(rules, get(call.query, "filter"))
        return listed(
            origins, lambda origin: self.shown(origin, None, call, rules), call.query, rules
        )

    def one(self, call: ScimCall, rules: ScimRules, text: str) -> Answer:
        """Answer GET /Groups/{id}."""
        return served(self.shown(self.groups.find(text), None, call, rules))

    def before(self, text: str, rules: ScimRules) -> tuple[int, Resource, list[int]]:
        """Return what is to be written to, and how it is."""
        phantom = self.groups.find_phantom(text) if rules.test_mode else None
        if phantom is not None:
            return phantom, self.groups.phantoms[phantom], []
        origin = self.groups.find(text)
        return origin, self.groups.document(origin), self.groups.members(origin)

    def state(self, body: object, rules: ScimRules) -> tuple[Resource, list[int]]:
        """Return the resource in a body and the members it names."""
        document = resource(body)
        named = document.pop("members", [])
        return document, list(dict.fromkeys(self.groups.named_members(named, rules)))

    def create(self, call: ScimCall, rules: ScimRules, _: str) -> Answer:
        """Answer POST /Groups."""
        document, members = self.state(call.body, rules)
        self.groups.check(document, None, rules)
        if rules.test_mode:
            origin = self.groups.pretend(document)
        else:
            origin = self.groups.create(document, members)
        return served(self.shown(origin, (document, members), call, rules), 201)

    def replaced(self, call: ScimCall, rules: ScimRules, text: str) -> Answer:
        """Answer PUT /Groups/{id}."""
        origin, _, _ = self.before(text, rules)
        return served(self.written(origin, self.state(call.body, rules), call, rules))

    def patched(self, call: ScimCall, rules: ScimRules, text: str) -> Answer:
        """Answer PATCH /Groups/{id}."""
        origin, document, members = self.before(text, rules)
        after = Membership(self.groups, document, members, rules)
        after.patch(operations(call.body))
        answer = self.written(origin, (after.document, after.members), call, rules)
        return nothing() if rules.patch_answers == 204 else served(answer)

    def written(
        self,
        origin: int,
        state: tuple[Resource, Sequence[int]],
        call: ScimCall,
        rules: ScimRules,
    ) -> Resource:
        """Write a group, and return it as served."""
        self.groups.check(state[0], origin, rules)
        if not rules.test_mode:
            self.groups.write(origin, *state)
            return self.shown(origin, None, call, rules)
        return self.shown(origin, state, call, rules)

    def deleted(self, _: ScimCall, rules: ScimRules, text: str) -> Answer:
        """Answer DELETE /Groups/{id}."""
        origin, _before, _members = self.before(text, rules)
        if not rules.test_mode:
            self.groups.delete(origin)
        return nothing()
