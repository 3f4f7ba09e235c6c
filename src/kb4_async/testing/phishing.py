"""Made-up phishing campaigns and their security tests."""

from dataclasses import dataclass
from functools import cached_property

from kb4_async.testing.people import People, respell
from kb4_async.testing.tables import Record, scramble
from kb4_async.testing.words import AWKWARD, SUBJECTS, ascending_key, moment

CAMPAIGN_SALT, TEST_SALT = 21, 22
FIRST_CAMPAIGN_ID, FIRST_TEST_ID = 229_584, 509_579
# One test in eight failed, and as many were created but not yet started.
TEST_STATES = ("Closed", "Active", "Closed", "Error", "Closed", "Created", "Closed", "Active")
TEMPLATES = (
    "Your Amazon Order",
    "CNN Breaking News",
    "Change of Password Required Immediately",
    "HR: Vacation Policy Update",
)
CATEGORIES = (
    (4_237, "Current Events"),
    (935, "Phishing For Sensitive Information"),
    (17_525, "Security Hints&Tips (Branded) (Not PST)"),
    (11_244, "Baseline Templates"),
)
LANDING_PAGES = ((0, "Default"), (1_842, "SEI Landing Page"), (4_072, "Verify Java"))
FEWEST, MOST = 20, 60
OLD_TEST_KEYS = {"landing_page": "landing-page"}
NO_TEMPLATE = {"id": None, "name": None}


@dataclass(frozen=True, slots=True)
class Tally:
    """How many recipients of a test did what; all that follows from opening is among the opened."""

    scheduled: int
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    replied: int = 0
    attachment_opened: int = 0
    macro_enabled: int = 0
    data_entered: int = 0
    qr_code_scanned: int = 0
    reported: int = 0

    @property
    def bounced(self) -> int:
        """Return how many mails came back."""
        return self.scheduled - self.delivered if self.delivered else 0

    @property
    def phish_prone(self) -> float:
        """Return the share that clicked, as a fraction."""
        return round(self.clicked / self.delivered, 3) if self.delivered else 0.0


@dataclass(frozen=True)
class Phishing:
    """How the phishing campaigns of one kind, ordinary or callback, are made from a seed.

    Attributes:
        people: whom they are sent to.
        campaigns: how many campaigns there are.
        first: the place of the first among the campaigns of both kinds.
        tests_a_campaign: how many tests each has; none to three if not given.
        recipients_a_test: how many recipients a test has that did not fail; 20 to 60 if not given.
        first_test: the number of the first test among the tests of both kinds.
    """

    people: People
    campaigns: int
    first: int = 0
    tests_a_campaign: int | None = None
    recipients_a_test: int | None = None
    first_test: int = 0

    @cached_property
    def test_places(self) -> list[int]:
        """Return the campaign's place of each test."""
        exact = self.tests_a_campaign
        return [
            place
            for place in range(self.campaigns)
            for _ in range((self.first + place) % 4 if exact is None else exact)
        ]

    @cached_property
    def last_tests(self) -> dict[int, int]:
        """Return the number of the last test of each campaign that has any."""
        return {place: number for number, place in enumerate(self.test_places)}

    @cached_property
    def last_started(self) -> dict[int, int]:
        """Return the number of the last test of each campaign that was ever started."""
        return {
            place: number
            for number, place in enumerate(self.test_places)
            if self.started_at(number) is not None
        }

    def campaign_id(self, place: int) -> int:
        """Return the id of the campaign at that place."""
        bits = scramble(self.people.seed, CAMPAIGN_SALT, self.first + place)
        return ascending_key(FIRST_CAMPAIGN_ID + self.first * 7, place, self.campaigns, bits)

    def campaign_name(self, place: int) -> str:
        """Return the name of the campaign at that place, which is that of its tests too."""
        number = self.first + place
        if number % 7 == 6:
            return AWKWARD[number % len(AWKWARD)]
        return f"{SUBJECTS[number % len(SUBJECTS)]} test {number}"

    def groups(self, place: int) -> list[Record]:
        """Return whom a campaign is for; the first of all is for everybody."""
        number = self.first + place
        bits = scramble(self.people.seed, CAMPAIGN_SALT, number) >> 8
        return [self.people.group_reference(bits << 2 if number == 0 else bits)]

    def campaign(self, place: int) -> Record:
        """Return the record of the campaign at that place, its tests still to be filled in."""
        number = self.first + place
        bits = scramble(self.people.seed, CAMPAIGN_SALT, number)
        last, started = self.last_tests.get(place), self.last_started.get(place)
        record: Record = {
            "campaign_id": self.campaign_id(place),
            "name": self.campaign_name(place),
            "groups": self.groups(place),
            "last_phish_prone_percentage": 0.0
            if started is None
            else self.tally(started).phish_prone,
            "last_run": None if started is None else self.started_at(started),
            "status": "Created" if last is None else self.state(last),
            "hidden": bits & 7 == 0,
            "send_duration": "1 Business Day" if bits & 8 else "3 Business Days",
            "track_duration": "3 Days",
            "frequency": "One Time",
            "difficulty_filter": [level for level in range(1, 6) if bits >> 30 + level & 1],
            "create_date": moment(bits >> 12),
            "psts_count": 0,
            "psts": [],
        }
        if self.people.extra_keys and number % 5 == 2:
            record["future_flag"] = True
        return record

    def test_bits(self, number: int) -> int:
        """Return what a test is made of."""
        return scramble(self.people.seed, TEST_SALT, self.first_test + number)

    def test_id(self, number: int) -> int:
        """Return the id of a test."""
        base = FIRST_TEST_ID + self.first_test * 7
        bits, size = self.test_bits(number), len(self.test_places)
        return ascending_key(base, number, size, bits, extreme=self.people.extreme_ids)

    def state(self, number: int) -> str:
        """Return the status of a test."""
        return TEST_STATES[number % len(TEST_STATES)]

    def started_at(self, number: int) -> str | None:
        """Return when a test was started, None if it never was."""
        never = self.state(number) in {"Error", "Created"}
        return None if never else moment(self.test_bits(number) >> 16)

    @property
    def most_recipients(self) -> int:
        """Return a number that no test has more recipients than."""
        return MOST if self.recipients_a_test is None else self.recipients_a_test

    def recipient_count(self, number: int) -> int:
        """Return how many recipients a test has: one that failed few."""
        bits = self.test_bits(number) >> 10
        state, exact = self.state(number), self.recipients_a_test
        if state == "Error":
            wanted = 1 + bits % 3
            return min(wanted, self.people.users if exact is None else exact)
        if exact is not None:
            return exact
        return (
            0 if state == "Created" else min(FEWEST + bits % (MOST - FEWEST + 1), self.people.users)
        )

    def tally(self, number: int) -> Tally:
        """Return what the recipients of a test did."""
        scheduled = self.recipient_count(number)
        if self.started_at(number) is None:
            return Tally(scheduled)
        bits = self.test_bits(number)
        delivered = scheduled - scheduled * (bits >> 8 & 7) // 100
        opened = delivered * (40 + (bits >> 12 & 31)) // 100
        clicked = opened * (10 + (bits >> 18 & 63)) // 100
        return Tally(
            scheduled,
            delivered,
            opened,
            clicked,
            replied=clicked // 7,
            attachment_opened=opened // 5,
            macro_enabled=opened // 11,
            data_entered=clicked // 3,
            qr_code_scanned=opened // 13,
            reported=delivered * (bits >> 26 & 31) // 100,
        )

    def template(self, number: int) -> Record:
        """Return the template of a test: null if it failed, or if each recipient got another."""
        bits = self.test_bits(number)
        if self.state(number) == "Error" or bits >> 34 & 3 == 0:
            return dict(NO_TEMPLATE)
        return template(bits >> 36)

    def test_glance(self, number: int) -> Record:
        """Return what look-ups need."""
        place = self.test_places[number]
        return {"campaign_id": self.campaign_id(place), "pst_id": self.test_id(number)}

    def test(self, number: int) -> Record:
        """Return the whole record of a test, in the documented order."""
        bits, place, tally = self.test_bits(number), self.test_places[number], self.tally(number)
        page_id, page = LANDING_PAGES[(bits >> 40) % len(LANDING_PAGES)]
        record: Record = {
            **self.test_glance(number),
            "status": self.state(number),
            "name": self.campaign_name(place),
            "groups": self.groups(place),
            "phish_prone_percentage": tally.phish_prone,
            "started_at": self.started_at(number),
            "duration": 1 + bits % 7,
            "categories": [
                {"category_id": category_id, "name": name}
                for category_id, name in CATEGORIES[: 1 + (bits >> 44 & 3)]
            ],
            "template": self.template(number),
            "landing_page": {"id": page_id, "name": page},
            "scheduled_count": tally.scheduled,
            "delivered_count": tally.delivered,
            "opened_count": tally.opened,
            "clicked_count": tally.clicked,
            "replied_count": tally.replied,
            "attachment_open_count": tally.attachment_opened,
            "macro_enabled_count": tally.macro_enabled,
            "data_entered_count": tally.data_entered,
            "qr_code_scanned_count": tally.qr_code_scanned,
            "reported_count": tally.reported,
            "bounced_count": tally.bounced,
        }
        if self.people.old_spellings:
            record = self.as_in_2021(record, number)
        if self.people.extra_keys and number % 6 == 4:
            record["future_block"] = {"id": number}
        return record

    def as_in_2021(self, record: Record, number: int) -> Record:
        """Return some tests with the field names of former years, which did not change at once."""
        if number % 2 == 1:
            record = respell(record, OLD_TEST_KEYS)
        if number % 4 == 2:
            del record["qr_code_scanned_count"]
            record |= {"vulnerable_plugin_count": 0, "exploited_count": 0}
        return record


def template(bits: int) -> Record:
    """Return one of the templates."""
    number = bits % len(TEMPLATES)
    return {"id": 11_428 + number * 31, "name": TEMPLATES[number]}
