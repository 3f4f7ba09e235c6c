"""The tables of an account by subject, and how they hang together."""

from dataclasses import dataclass
from functools import partial

from kb4_async.testing.history import Histories
from kb4_async.testing.learning import Learning
from kb4_async.testing.people import People
from kb4_async.testing.phishing import Phishing
from kb4_async.testing.recipients import Recipients
from kb4_async.testing.relations import Children, Listed
from kb4_async.testing.tables import Changes, Record, Table


@dataclass(frozen=True, slots=True)
class Sources:
    """How the records of an account are made."""

    people: People
    learning: Learning
    phishing: Phishing
    callbacks: Phishing
    histories: Histories


class PeopleTables:
    """Users and groups; groups count their members as the users are at that moment."""

    def __init__(self, people: People, changes: Changes, *, string_member_ids: bool) -> None:
        """Put the tables together."""
        table = partial(Table, key="id", changes=changes)
        self.users = table(people.users, people.user, glance=people.user_glance)
        self.groups = table(people.groups, people.group, derive=self.counted)
        shape = with_string_id if string_member_ids else None
        self.members = Listed(self.users, self.groups, lambda user: user["groups"] or (), shape)

    def counted(self, group: Record) -> Record:
        """Return what users decide of a group."""
        return {"member_count": self.members.count(group["id"])}


class TrainingTables:
    """Training campaigns, enrollments and modules."""

    def __init__(self, learning: Learning, changes: Changes) -> None:
        """Put the tables together."""
        table, modules = partial(Table, changes=changes), learning.modules
        self.campaigns = table(learning.campaigns, learning.campaign, key="campaign_id")
        self.enrollments = table(
            learning.enrollments,
            learning.enrollment,
            key="enrollment_id",
            glance=learning.enrollment_glance,
        )
        self.purchases = table(
            modules.purchases,
            modules.listed_purchase,
            key="store_purchase_id",
            glance=modules.purchase_glance,
        )
        self.policies = table(modules.policies, modules.policy, key="policy_id")


class PhishingTables:
    """The campaigns of one kind, their security tests, and the recipients of those.

    Campaigns list their tests, and both count recipients, as the tables are at that moment.
    """

    def __init__(self, phishing: Phishing, changes: Changes) -> None:
        """Put the tables together."""
        self.phishing = phishing
        self.changes = changes
        table = partial(Table, changes=changes)
        self.campaigns = table(
            phishing.campaigns, phishing.campaign, key="campaign_id", derive=self.tests_of
        )
        self.tests = table(
            len(phishing.test_places),
            phishing.test,
            key="pst_id",
            glance=phishing.test_glance,
            derive=self.counted,
        )
        self.by_campaign = Listed(self.tests, self.campaigns, lambda test: (test["campaign_id"],))
        self.recipients = Children(self.tests, self.make_recipients, key="recipient_id")

    def make_recipients(self, test: int) -> Table:
        """Make the recipients of a test."""
        source = Recipients(self.phishing, test)
        return Table(
            source.tally.scheduled,
            source.recipient,
            key="recipient_id",
            glance=source.glance,
            changes=self.changes,
        )

    def count(self, test: Record) -> int | None:
        """Return the exact number of recipients; a test that failed does not tell."""
        return None if test["status"] == "Error" else len(self.recipients[test["pst_id"]])

    def counted(self, test: Record) -> Record:
        """Return what recipients decide of a test."""
        return {"scheduled_count": self.count(test)}

    def tests_of(self, campaign: Record) -> Record:
        """Return what tests decide of a campaign."""
        listed = [
            {
                "pst_id": test["pst_id"],
                "status": test["status"],
                "start_date": test["started_at"],
                "users_count": self.count(test),
                "phish_prone_percentage": test["phish_prone_percentage"],
            }
            for test in self.by_campaign.get(campaign["campaign_id"], ())
        ]
        return {"psts_count": len(listed), "psts": listed}


class HistoryTables:
    """Risk scores of the account, its groups and its users."""

    def __init__(self, histories: Histories, people: PeopleTables, changes: Changes) -> None:
        """Put the tables together."""
        self.account = histories.account(changes)
        self.groups = Children(
            people.groups, lambda group: histories.group(group, changes), key="date"
        )
        self.users = Children(people.users, lambda user: histories.user(user, changes), key="date")


def with_string_id(record: Record) -> Record:
    """Return the record with its id as a string, as one recorded members' answer had it."""
    return {**record, "id": str(record["id"])}
