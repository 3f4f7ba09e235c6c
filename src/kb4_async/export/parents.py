"""Parents as they become known, for those who read their children: groups, security tests,
users."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kb4_async.protocol.codec import Key, plain_key
from kb4_async.protocol.endpoints import MAX_PER_PAGE
from kb4_async.protocol.page import Page
from kb4_async.reporting.parents import count_in, users_counts


@dataclass(frozen=True, slots=True)
class Parent:
    """As much of a parent as its children are read by; about 200 bytes.

    Attributes:
        id: Its id; None where it has none that can be asked for.
        name: Its name, for messages.
        count: Children it counts; None where it counts none.
        campaign: The campaign a security test belongs to.
        campaign_type: ``callback`` for a test of a callback campaign.
    """

    id: int | str | None
    name: str
    count: int | None = None
    campaign: int | str | None = None
    campaign_type: Literal["callback"] | None = None


#: Makes a parent of a record, and the page it came with.
ParentOf = Callable[[Mapping[str, Any], Page[Any]], Parent]


def id_of(record: Mapping[str, Any], key: str) -> int | str | None:
    """A parent's id, if it has one that can be asked for."""
    found = plain_key(record.get(key))
    return None if isinstance(found, str) and found.strip() in {"", ".", ".."} else found


def group_of(record: Mapping[str, Any], page: Page[Any]) -> Parent:
    """A group as the parent of its members."""
    del page
    count = count_in(record, "member_count")
    return Parent(id_of(record, "id"), str(record.get("name")), count)


def user_of(record: Mapping[str, Any], page: Page[Any]) -> Parent:
    """A user as the parent of a risk history."""
    del page
    return Parent(id_of(record, "id"), str(record.get("email")))


def test_of(record: Mapping[str, Any], page: Page[Any]) -> Parent:
    """A security test as the parent of its recipients."""
    return Parent(
        id_of(record, "pst_id"),
        str(record.get("name")),
        count_in(record, "scheduled_count"),
        id_of(record, "campaign_id"),
        "callback" if page.identity.query.get("campaign_type") == "callback" else None,
    )


class Board:
    """The parents of one kind.

    Args:
        parent_of: Makes a parent of a record.

    Attributes:
        parents: Those known so far.
        all_known: No more will come.
        whole: They were listed to a proven end.
        pages: Pages of all children as the parents count them, once all parents are known; None
            where one does not count them.
    """

    def __init__(self, parent_of: ParentOf) -> None:
        self.parent_of = parent_of
        self.parents: list[Parent] = []
        self.pages: int | None = None
        self.all_known = self.whole = False
        self.news = asyncio.Event()

    async def add(self, page: Page[Any]) -> None:
        """More parents are known."""
        self.parents.extend(self.parent_of(record, page) for record in page.items)
        self.news.set()

    def close(self, whole: bool) -> None:  # noqa: FBT001  # what every end is told
        """No more parents will come, for whatever reason."""
        self.all_known, self.whole = True, whole
        counts = [parent.count for parent in self.parents]
        if None not in counts:
            self.pages = sum(-(-(count or 0) // MAX_PER_PAGE) for count in counts)
        self.news.set()

    async def each(self) -> AsyncGenerator[Parent, None]:
        """Every parent, as soon as it is known."""
        place = 0
        while True:
            self.news.clear()
            while place < len(self.parents):
                place += 1
                yield self.parents[place - 1]
            if self.all_known:
                return
            await self.news.wait()

    async def complete(self) -> list[Parent]:
        """Every parent, once all are known."""
        async for _ in self.each():
            pass
        return self.parents


class CampaignCounts:
    """What phishing campaigns count: their tests, and each test's recipients.

    Attributes:
        psts: Tests that each campaign counts, and its type.
        users: Recipients that each test has, by its campaign's word.
    """

    def __init__(self) -> None:
        self.psts: dict[int | str, tuple[int, Literal["callback"] | None]] = {}
        self.users: dict[Key, int] = {}
        self.known = asyncio.Event()

    async def add(self, page: Page[Any]) -> None:
        """More campaigns are known."""
        callback = page.identity.query.get("campaign_type") == "callback"
        for campaign in page.items:
            key, count = id_of(campaign, "campaign_id"), count_in(campaign, "psts_count")
            if key is not None and count is not None:
                self.psts[key] = count, "callback" if callback else None
            for test, users in users_counts(campaign):
                if users is not None:
                    self.users[test] = users

    def close(self, whole: bool) -> None:  # noqa: FBT001  # what every end is told
        """No more campaigns will come, for whatever reason."""
        del whole
        self.known.set()
