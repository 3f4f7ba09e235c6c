"""A made-up KnowBe4 account: the records that are served."""

from collections.abc import Mapping, Sequence

from kb4_async.testing.holdings import (
    HistoryTables,
    PeopleTables,
    PhishingTables,
    Sources,
    TrainingTables,
)
from kb4_async.testing.relations import Either
from kb4_async.testing.tables import Changes, Record, Table, View, scramble
from kb4_async.testing.words import day


class Account:
    """The records of one account, as served, in served order.

    Tables are sequences of dicts that can be changed while they are served
    (`account.users.delete(id)`, `.insert(record)`, `.add(place=0)`, `.update(id, email=None)`):
    `users`, `groups`, `enrollments`, `training_campaigns`, `store_purchases`, `policies`,
    `phishing_campaigns`, `callback_campaigns`, `security_tests`, `callback_security_tests` and
    `risk_history`. `recipients` holds such a table for each test's id, `group_histories` and
    `user_histories` for each group's and user's. `members` maps a group's id to its users,
    `campaign_tests` a phishing campaign's to its tests. `account` is what `/account` answers.

    Counts (`member_count`, `psts_count`, `users_count`, `scheduled_count`) are exact and follow
    every change, unless they are set by hand: then they lie. Enrollments hold every field, those
    included that the API serves only when asked.
    """

    def __init__(self, sources: Sources, *, trial: bool, string_member_ids: bool) -> None:
        """Put the tables together; `generate_account` is the way to get one."""
        self.changes = changes = Changes()
        self.sources = sources
        people = PeopleTables(sources.people, changes, string_member_ids=string_member_ids)
        self.users, self.groups, self.members = people.users, people.groups, people.members
        training = TrainingTables(sources.learning, changes)
        self.training_campaigns, self.enrollments = training.campaigns, training.enrollments
        self.store_purchases, self.policies = training.purchases, training.policies
        self.ordinary = PhishingTables(sources.phishing, changes)
        self.callback = PhishingTables(sources.callbacks, changes)
        self.phishing_campaigns = self.ordinary.campaigns
        self.callback_campaigns = self.callback.campaigns
        self.security_tests = self.ordinary.tests
        self.callback_security_tests = self.callback.tests
        self.campaign_tests: Mapping[int, View] = Either(
            self.ordinary.by_campaign, self.callback.by_campaign
        )
        self.recipients: Mapping[int, Table] = Either(
            self.ordinary.recipients, self.callback.recipients
        )
        histories = HistoryTables(sources.histories, people, changes)
        self.risk_history = histories.account
        self.group_histories: Mapping[int, Table] = histories.groups
        self.user_histories: Mapping[int, Table] = histories.users
        self.account = account_record(self, trial=trial)

    @property
    def version(self) -> int:
        """Return a number that grows with every change to a table."""
        return self.changes.count

    @property
    def tables(self) -> Sequence[Table]:
        """Return all tables but those that belong to a single test, group or user."""
        return (
            self.users,
            self.groups,
            self.training_campaigns,
            self.enrollments,
            self.store_purchases,
            self.policies,
            self.phishing_campaigns,
            self.callback_campaigns,
            self.security_tests,
            self.callback_security_tests,
            self.risk_history,
        )

    def delete_user(self, user_id: int) -> Record:
        """Delete a user between two requests; all rows behind it move up."""
        return self.users.delete(user_id)

    def add_user(self, *, place: int | None = None, **fields: object) -> Record:
        """Add a user with the given fields at a place (None: at the end, with the highest id)."""
        record = self.sources.people.user(self.users.newest)
        record.update({"id": self.users.next_key(), "groups": []} | fields)
        return self.users.insert(record, place=place)


def account_record(account: Account, *, trial: bool) -> Record:
    """Return the record of an account itself; a trial one lacks the subscription."""
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
    people = account.sources.people
    bits = scramble(people.seed, 0, 0)
    if not trial:
        record["subscription_level"] = "Diamond"
        record["subscription_end_date"] = day(bits)
        record["number_of_seats"] = people.users + 25
    record["current_risk_score"] = (bits >> 20) % 100_001 / 1000
    if people.old_spellings:
        record["risk_score_history"] = account.risk_history[-3:]
    return record
