"""Join an account with a second system, here an HR file, and report what does not agree.

Usage (``kb4 simulate`` prints the two variables it needs for a simulated account)::

    python -m examples.identity_join hr.csv > findings.jsonl

The HR file has a header line and the columns ``employee_number`` and ``email``; either may be empty
in a row. Findings come as JSON lines:

``only_knowbe4``   an active user whom HR does not know
``only_hr``        a person in HR without an active user
``overdue``        a person in both, with training past due
``ambiguous``      a user who could be more than one person in HR, or whose person another user took

People match by employee number where both sides have one, else by e-mail without regard to case.
Users and enrollments are streamed: what is kept grows with the HR file, the groups and the people
who are overdue, not with the enrollments.
"""

import asyncio
import csv
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from kb4_async import ReportingClient, User

Finding = dict[str, Any]


def text(value: object) -> str:
    """A key as both systems may write it: no surrounding space, null as nothing, 42 as "42"."""
    return "" if value is None else str(value).strip()


class People:
    """The second system, indexed by both keys."""

    def __init__(self, rows: Iterable[Mapping[str, str | None]]) -> None:
        self.rows = [dict(row) for row in rows]
        self.matched = [False] * len(self.rows)
        self.by_number: defaultdict[str, list[int]] = defaultdict(list)
        self.by_email: defaultdict[str, list[int]] = defaultdict(list)
        for place, row in enumerate(self.rows):
            if number := text(row.get("employee_number")):
                self.by_number[number].append(place)
            if email := text(row.get("email")).casefold():
                self.by_email[email].append(place)

    def find(self, user: User) -> list[int]:
        """Rows that may be this user; more than one where the second system has duplicates."""
        number, email = text(user.get("employee_number")), text(user.get("email")).casefold()
        if number and number in self.by_number:
            return self.by_number[number]
        # An e-mail must not join two people whose employee numbers differ.
        return [
            place
            for place in self.by_email.get(email, ())
            if not (number and text(self.rows[place].get("employee_number")))
        ]


async def compare(kb: ReportingClient, people: People) -> AsyncGenerator[Finding, None]:
    """Yield findings as the users stream by, and the people left over at the end."""
    groups = {group["id"]: group.get("name") async for group in kb.groups.list()}
    overdue = await past_due(kb)
    async with aclosing(aiter(kb.users.list(status="active"))) as users:
        async for user in users:
            found = people.find(user)
            facts = {
                "id": user["id"],
                "email": user.get("email"),
                "employee_number": user.get("employee_number"),
                "phish_prone_percentage": user.get("phish_prone_percentage"),
                "groups": [groups.get(group, group) for group in user.get("groups") or ()],
                "past_due": overdue[user["id"]],
            }
            if not found:
                yield {"finding": "only_knowbe4", **facts}
            elif len(found) > 1 or people.matched[found[0]]:
                yield {"finding": "ambiguous", **facts}
            elif facts["past_due"]:
                yield {"finding": "overdue", **facts}
            for place in found:
                people.matched[place] = True
    for row, matched in zip(people.rows, people.matched, strict=True):
        if not matched:
            yield {"finding": "only_hr", **row}


async def past_due(kb: ReportingClient) -> Counter[int]:
    """Count each user's enrollments past due. The API has no filter for it: all are read."""
    counts: Counter[int] = Counter()
    async with aclosing(aiter(kb.training.enrollments.list())) as enrollments:
        async for enrollment in enrollments:
            # Both can be null: a deleted user, an enrollment without a status.
            who = enrollment.get("user") or {}
            if enrollment.get("status") == "Past Due" and "id" in who:
                counts[who["id"]] += 1
    return counts


def read_people(path: Path) -> People:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return People(csv.DictReader(file))


async def main(people: People) -> None:
    async with (
        ReportingClient(
            region=os.environ.get("KB4_REGION"), base_url=os.environ.get("KB4_BASE_URL")
        ) as kb,
        aclosing(compare(kb, people)) as findings,
    ):
        async for finding in findings:
            print(json.dumps(finding, ensure_ascii=False))


if __name__ == "__main__":
    asyncio.run(main(read_people(Path(sys.argv[1]))))
