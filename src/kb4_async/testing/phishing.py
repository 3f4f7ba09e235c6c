"""Made-up phishing campaigns."""

from dataclasses import dataclass

from kb4_async.testing.people import People
from kb4_async.testing.tables import Record, scramble
from kb4_async.testing.words import AWKWARD, SUBJECTS, ascending_key, moment

CAMPAIGN_SALT, TEST_SALT = 21, 22
FIRST_CAMPAIGN_ID, FIRST_TEST_ID = 229_584, 509_579
STATES = ("Closed", "Active", "Created", "Error")
TESTS_A_CAMPAIGN = 4


@dataclass(frozen=True)
class Phishing:
    """How the phishing campaigns of one account are made from its seed.

    Callback campaigns take the places behind the ordinary ones.
    """

    people: People
    campaigns: int
    callbacks: int

    def campaign_id(self, place: int) -> int:
        """Return the id of the campaign at that place."""
        bits = scramble(self.people.seed, CAMPAIGN_SALT, place)
        return ascending_key(FIRST_CAMPAIGN_ID, place, self.campaigns + self.callbacks, bits)

    def test(self, place: int, number: int) -> Record:
        """Return a security test as its campaign lists it; one that failed has nulls."""
        bits = scramble(self.people.seed, TEST_SALT, place * TESTS_A_CAMPAIGN + number)
        state = STATES[(bits >> 8) % len(STATES)]
        failed = state == "Error"
        return {
            "pst_id": FIRST_TEST_ID + (place * TESTS_A_CAMPAIGN + number) * 7 + bits % 6,
            "status": state,
            "start_date": None if failed else moment(bits >> 16),
            "users_count": None if failed else (bits >> 20) % (self.people.users + 1),
            "phish_prone_percentage": 0.0 if failed else (bits >> 24) % 1001 / 1000,
        }

    def campaign(self, place: int) -> Record:
        """Return the whole record of the campaign at that place."""
        bits = scramble(self.people.seed, CAMPAIGN_SALT, place)
        tests = [self.test(place, number) for number in range(place % TESTS_A_CAMPAIGN)]
        name = f"{SUBJECTS[place % len(SUBJECTS)]} test {place}"
        record: Record = {
            "campaign_id": self.campaign_id(place),
            "name": AWKWARD[place % len(AWKWARD)] if place % 7 == 6 else name,
            "groups": [self.people.group_reference(bits >> 8 << 2 if place == 0 else bits >> 8)],
            "last_phish_prone_percentage": (bits >> 16) % 1001 / 1000 if tests else 0.0,
            "last_run": moment(bits >> 18) if tests else None,
            "status": STATES[(bits >> 20) % len(STATES)],
            "hidden": bits & 7 == 0,
            "send_duration": "1 Business Day" if bits & 8 else "3 Business Days",
            "track_duration": "3 Days",
            "frequency": "One Time",
            "difficulty_filter": [level for level in range(1, 6) if bits >> 30 + level & 1],
            "create_date": moment(bits >> 12),
            "psts_count": len(tests),
            "psts": tests,
        }
        if self.people.extra_keys and place % 5 == 2:
            record["future_flag"] = True
        return record
