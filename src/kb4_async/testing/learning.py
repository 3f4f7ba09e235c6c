"""Made-up training campaigns and enrollments."""

from dataclasses import dataclass

from kb4_async.testing.people import People
from kb4_async.testing.tables import Record, scramble
from kb4_async.testing.words import AWKWARD, SUBJECTS, ascending_key, moment

PURCHASE_SALT, POLICY_SALT, CAMPAIGN_SALT, ENROLLMENT_SALT = 11, 12, 13, 14
FIRST_PURCHASE_ID, FIRST_POLICY_ID = 6_420, 2_420
FIRST_CAMPAIGN_ID, FIRST_ENROLLMENT_ID = 4_261, 1_425_526
CAMPAIGN_STATES = ("Created", "Enrolling", "In Progress", "Completed", "Closed", "Cancelled")
DURATIONS = ("Specific End Date", "Relative End Date", "Relative Duration", "No End Date")
STATES = ("Not Started", "In Progress", "Completed", "Passed", "Past Due")
TOO_LARGE_TO_CALCULATE = -1


@dataclass(frozen=True)
class Learning:
    """How the training of one account is made from its seed."""

    people: People
    campaigns: int
    enrollments: int

    @property
    def seed(self) -> int:
        """Return the seed of the account."""
        return self.people.seed

    def purchase_id(self, number: int) -> int:
        """Return the id of a bought module."""
        return FIRST_PURCHASE_ID + number * 7 + scramble(self.seed, PURCHASE_SALT, number) % 6

    def purchase(self, number: int) -> Record:
        """Return a bought module as campaigns carry it."""
        bits = scramble(self.seed, PURCHASE_SALT, number)
        retired = bits & 7 == 0
        return {
            "store_purchase_id": self.purchase_id(number),
            "content_type": "Store Purchase",
            "name": f"{SUBJECTS[number % len(SUBJECTS)]} {2019 + bits % 7}",
            "description": "A comprehensive overview of best practices...",
            "type": "Training Module",
            "duration": None if bits & 8 else bits >> 8 & 63,
            "retired": retired,
            "retirement_date": moment(bits >> 5) if retired else None,
            "publish_date": None if bits & 16 else moment(bits >> 6),
            "publisher": None if bits & 32 else "Example Publishing",
            "purchase_date": moment(bits >> 7),
            "policy_url": None,
        }

    def policy(self, number: int) -> Record:
        """Return an uploaded policy as campaigns carry it."""
        bits = scramble(self.seed, POLICY_SALT, number)
        return {
            "policy_id": FIRST_POLICY_ID + number * 7 + bits % 6,
            "content_type": "Uploaded Policy",
            "name": f"{SUBJECTS[number % len(SUBJECTS)]} Policy",
            "minimum_time": bits >> 8 & 15,
            "default_language": "en-us",
            "published": bits & 64 == 0,
        }

    def content(self, place: int) -> list[Record | list[Record]]:
        """Return what a campaign teaches: modules, policies, both, nothing, or a nested list."""
        modules = [self.purchase((place + step) % len(SUBJECTS)) for step in range(place % 3)]
        policies = [self.policy((place + step) % len(SUBJECTS)) for step in range(place % 2)]
        if place % 8 == 7:
            return [modules + policies]
        return [*modules, *policies]

    def campaign_id(self, place: int) -> int:
        """Return the id of the campaign at that place."""
        bits = scramble(self.seed, CAMPAIGN_SALT, place)
        return ascending_key(FIRST_CAMPAIGN_ID, place, self.campaigns, bits)

    def campaign_name(self, place: int) -> str:
        """Return the name of the campaign at that place."""
        if place % 9 == 5:
            return AWKWARD[place // 9 % len(AWKWARD)]
        return f"{SUBJECTS[place % len(SUBJECTS)]} campaign {place}"

    def campaign(self, place: int) -> Record:
        """Return the whole record of the campaign at that place."""
        bits = scramble(self.seed, CAMPAIGN_SALT, place)
        duration = DURATIONS[bits >> 8 & 3]
        record: Record = {
            "campaign_id": self.campaign_id(place),
            "name": self.campaign_name(place),
            "groups": [self.people.group_reference(bits >> 10)],
            "status": CAMPAIGN_STATES[(bits >> 20) % len(CAMPAIGN_STATES)],
            "content": self.content(place),
            "duration_type": duration,
            "start_date": None if bits >> 28 & 7 == 0 else moment(bits >> 12),
            "end_date": moment(bits >> 13) if duration.endswith("End Date") else None,
            "relative_duration": "4 weeks" if duration.startswith("Relative") else None,
            "auto_enroll": bits & 1 == 1,
            "allow_multiple_enrollments": bits & 2 == 2,
            "completion_percentage": TOO_LARGE_TO_CALCULATE
            if place % 5 == 3
            else (bits >> 30) % 101,
        }
        if self.people.extra_keys and place % 6 == 4:
            record["future_block"] = {"id": place}
        return record

    def enrollment_id(self, origin: int) -> int:
        """Return the id of that enrollment."""
        bits = scramble(self.seed, ENROLLMENT_SALT, origin)
        extreme = self.people.extreme_ids
        return ascending_key(FIRST_ENROLLMENT_ID, origin, self.enrollments, bits, extreme=extreme)

    def enrolled_user(self, bits: int) -> int | None:
        """Return the origin of the user, or None where the record says null."""
        if not self.people.users or bits >> 8 & 0xFF == 0:
            return None
        return (bits >> 16) % self.people.users

    def enrollment_glance(self, origin: int) -> Record:
        """Return what filters look at."""
        bits = scramble(self.seed, ENROLLMENT_SALT, origin)
        user = self.enrolled_user(bits)
        return {
            "enrollment_id": self.enrollment_id(origin),
            "user": None if user is None else {"id": self.people.user_id(user)},
            "campaign_id": self.campaign_id((bits >> 6) % self.campaigns)
            if self.campaigns
            else None,
            "store_purchase_id": None
            if bits & 3 == 0
            else self.purchase_id((bits >> 2) % len(SUBJECTS)),
        }

    def enrollment(self, origin: int) -> Record:
        """Return the whole record of that enrollment, the fields that need a flag included."""
        bits = scramble(self.seed, ENROLLMENT_SALT, origin)
        place = (bits >> 6) % self.campaigns if self.campaigns else None
        of_policy = bits & 3 == 0
        subject = SUBJECTS[(bits >> 2) % len(SUBJECTS)]
        state = STATES[(bits >> 24) % len(STATES)]
        started = state != "Not Started"
        done = state in {"Completed", "Passed"}
        enrolled = bits >> 26
        record: Record = {
            "enrollment_id": self.enrollment_id(origin),
            "content_type": "Uploaded Policy" if of_policy else "Store Purchase",
            "module_name": f"{subject} Policy" if of_policy else subject,
            "user": self.user_block(self.enrolled_user(bits), origin),
            "campaign_name": "Deleted campaign" if place is None else self.campaign_name(place),
            "campaign_id": None if place is None else self.campaign_id(place),
            "store_purchase_id": None
            if of_policy
            else self.purchase_id((bits >> 2) % len(SUBJECTS)),
            "enrollment_date": None if bits >> 30 & 63 == 0 else moment(enrolled),
            "start_date": moment(enrolled, after=90_061) if started else None,
            "completion_date": moment(enrolled, after=200_000) if done else None,
            "status": None if bits >> 36 & 127 == 0 else state,
            "time_spent": bits >> 43 & 0xFFF if started else 0,
            "policy_acknowledged": of_policy and done,
        }
        if self.people.extra_keys and bits >> 55 & 63 == 0:
            record["score"] = 87
            record["future_flag"] = None
        return record

    def user_block(self, user: int | None, origin: int) -> Record | None:
        """Return the user as an enrollment repeats them; the number is now and then an int."""
        if user is None:
            return None
        who = self.people.identity(user)
        number: str | int | None = who.employee_number
        if number is not None and origin % 50 == 7:
            number = int(number)
        return {
            "id": who.id,
            "first_name": who.first_name,
            "last_name": who.last_name,
            "email": who.email,
            "employee_number": number,
        }
