"""A made-up KnowBe4 account: the same for the same seed, of any size, the API's traps in it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from kb4_async.testing.learning import Learning
from kb4_async.testing.people import People
from kb4_async.testing.phishing import Phishing
from kb4_async.testing.tables import Record, Table, View, scramble
from kb4_async.testing.words import day

ENROLLMENTS_A_USER = 3
CALLBACKS_A_CAMPAIGN = 3


class Members(Mapping[int, View]):
    """Who is in which group, read from the users' own `groups` and kept until a user changes."""

    def __init__(self, users: Table, groups: Table, *, ids_as_strings: bool) -> None:
        """Read the members of `groups` from `users`."""
        self.users = users
        self.groups = groups
        self.shape = with_string_id if ids_as_strings else None
        self.read_at = -1
        self.origins: dict[int, list[int]] = {}

    def by_group(self) -> dict[int, list[int]]:
        """Return the members' origins of every group that has any."""
        if self.read_at != self.users.version:
            origins: dict[int, list[int]] = {}
            for origin in self.users.order:
                for group_id in self.users.glance(origin)["groups"] or ():
                    origins.setdefault(group_id, []).append(origin)
            self.origins, self.read_at = origins, self.users.version
        return self.origins

    def count(self, group_id: int) -> int:
        """Return how many members a group has."""
        return len(self.by_group().get(group_id, ()))

    def __getitem__(self, group_id: int) -> View:
        """Return the members of a group, archived users included."""
        if self.groups.origin_of(group_id) is None:
            raise KeyError(group_id)
        return View(self.users, self.by_group().get(group_id, []), self.shape)

    def __iter__(self) -> Iterator[int]:
        """Return the ids of all groups, empty ones too."""
        return (self.groups.glance(origin)["id"] for origin in self.groups.order)

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.groups)


class Account:
    """The records of one account, as served, in served order.

    `users`, `groups`, `enrollments`, `training_campaigns`, `phishing_campaigns` and
    `callback_campaigns` are sequences of dicts that can be changed while they are served
    (`account.users.delete(id)`, `.insert(record)`, `.update(id, email=None)`); `members` maps a
    group's id to its users and `account` is what `/account` answers. Enrollments hold every
    field, those included that the API serves only when asked.
    """

    def __init__(
        self,
        people: People,
        learning: Learning,
        phishing: Phishing,
        *,
        trial: bool,
        string_member_ids: bool,
    ) -> None:
        """Put the tables together; `generate_account` is the way to get one."""
        self.people = people
        self.users = Table(people.users, people.user, key="id", glance=people.user_glance)
        self.groups = Table(people.groups, self.make_group, key="id", glance=self.glance_group)
        self.members = Members(self.users, self.groups, ids_as_strings=string_member_ids)
        self.training_campaigns = Table(learning.campaigns, learning.campaign, key="campaign_id")
        self.enrollments = Table(
            learning.enrollments,
            learning.enrollment,
            key="enrollment_id",
            glance=learning.enrollment_glance,
        )
        self.phishing_campaigns = Table(phishing.campaigns, phishing.campaign, key="campaign_id")
        self.callback_campaigns = Table(
            phishing.callbacks,
            lambda place: phishing.campaign(phishing.campaigns + place),
            key="campaign_id",
        )
        self.account = self.make_account(trial=trial)

    @property
    def version(self) -> int:
        """Return a number that grows with every change to a table."""
        return sum(table.version for table in self.tables)

    @property
    def tables(self) -> Sequence[Table]:
        """Return all tables."""
        return (
            self.users,
            self.groups,
            self.training_campaigns,
            self.enrollments,
            self.phishing_campaigns,
            self.callback_campaigns,
        )

    def make_group(self, place: int) -> Record:
        """Return a group with its exact number of members."""
        return self.people.group(place, self.members.count(self.people.group_ids[place]))

    def glance_group(self, place: int) -> Record:
        """Return what filters look at, without counting members."""
        return self.people.group(place, 0)

    def make_account(self, *, trial: bool) -> Record:
        """Return the record of the account itself; a trial one lacks the subscription."""
        record: Record = {
            "name": "Example, Inc",
            "type": "trial" if trial else "paid",
            "domains": ["example.test", "mail.example.test"],
            "admins": [
                {
                    "id": 33_626_551,
                    "first_name": "Grace",
                    "last_name": "O'Malley",
                    "email": "grace@example.test",
                }
            ],
        }
        bits = scramble(self.people.seed, 0, 0)
        if not trial:
            record["subscription_level"] = "Diamond"
            record["subscription_end_date"] = day(bits)
            record["number_of_seats"] = len(self.users) + 25
        record["current_risk_score"] = (bits >> 20) % 100_001 / 1000
        return record

    def delete_user(self, user_id: int) -> Record:
        """Delete a user between two requests; all rows behind it move up."""
        return self.users.delete(user_id)

    def add_user(self, *, place: int | None = None, **fields: object) -> Record:
        """Add a user with the given fields at a place (None: at the end, with the highest id)."""
        ids = [self.users.glance(origin)["id"] for origin in self.users.order]
        record = self.people.user(self.users.newest)
        record.update({"id": max(ids, default=0) + 7, "groups": []} | fields)
        return self.users.insert(record, place=place)


def with_string_id(record: Record) -> Record:
    """Return the record with its id as a string, as one recorded members' answer had it."""
    return {**record, "id": str(record["id"])}


def generate_account(
    seed: int = 7,
    *,
    users: int = 1200,
    groups: int = 40,
    enrollments: int | None = None,
    training_campaigns: int = 12,
    phishing_campaigns: int = 6,
    trial: bool = False,
    extreme_ids: bool = False,
    string_member_ids: bool = False,
    extra_keys: bool = True,
    old_spellings: bool = False,
) -> Account:
    """Return a made-up account, the same for the same arguments.

    Args:
        seed: what everything is derived from.
        users: number of users, active and archived.
        groups: number of groups, active and archived; the last one is empty.
        enrollments: number of training enrollments; three a user if not given.
        training_campaigns: number of training campaigns.
        phishing_campaigns: number of phishing campaigns; callback campaigns come on top.
        trial: leave out the account's subscription fields, as a recorded trial account did.
        extreme_ids: give the last user and enrollment an id beyond 64 bits.
        string_member_ids: serve the ids of group members as strings.
        extra_keys: put keys nobody documented on some records.
        old_spellings: give some users and groups the field names of former years.
    """
    people = People(seed, users, groups, extreme_ids, extra_keys, old_spellings)
    rows = users * ENROLLMENTS_A_USER if enrollments is None else enrollments
    learning = Learning(people, training_campaigns, rows)
    callbacks = -(-phishing_campaigns // CALLBACKS_A_CAMPAIGN)
    phishing = Phishing(people, phishing_campaigns, callbacks)
    make = partial(Account, people, learning, phishing)
    return make(trial=trial, string_member_ids=string_member_ids)
