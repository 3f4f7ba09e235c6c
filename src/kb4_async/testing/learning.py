"""Made-up training campaigns and enrollments."""

from dataclasses import dataclass

from kb4_async.testing.modules import Modules
from kb4_async.testing.people import People, respell
from kb4_async.testing.tables import Record, scramble
from kb4_async.testing.words import AWKWARD, SUBJECTS, ascending_key, moment

CAMPAIGN_SALT, ENROLLMENT_SALT = 13, 14
FIRST_CAMPAIGN_ID, FIRST_ENROLLMENT_ID = 4_261, 1_425_526
CAMPAIGN_STATES = ("Created", "Enrolling", "In Progress", "Completed", "Closed", "Cancelled")
DURATIONS = ("Specific End Date", "Relative End Date", "Relative Duration", "No End Date")
STATES = ("Not Started", "In Progress", "Completed", "Passed", "Past Due")
TOO_LARGE_TO_CALCULATE = -1


@dataclass(frozen=True)
class Learning:
    """How the training of one account is made from its seed."""

    people: People
    modules: Modules
    campaigns: int
    enrollments: int

    @property
    def seed(self) -> int:
        """Return the seed of the account."""
        return self.people.seed

    def content(self, place: int) -> list[Record | list[Record]]:
        """Return what a campaign teaches: modules, policies, both, nothing, or a nested list."""
        of = self.modules
        bought = min(place % 3, of.purchases)
        modules = [of.purchase((place + step) % of.purchases) for step in range(bought)]
        policies = [of.policy_in_campaign(place % of.policies)] if place % 2 and of.policies else []
        if self.people.old_spellings and modules and place % 4 == 1:
            modules[0] = respell(modules[0], {"store_purchase_id": "content_id"})
        flat = [*modules, *policies]
        return [flat] if flat and place % 8 == 7 else [*flat]

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
        if self.people.old_spellings and place % 4 == 2:
            record = respell(record, {"content": "modules"})
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
            "store_purchase_id": self.purchase_of(bits),
        }

    def is_policy(self, bits: int) -> bool:
        """Say whether an enrollment is in a policy."""
        return bits & 3 == 0 or not self.modules.purchases

    def purchase_of(self, bits: int) -> int | None:
        """Return the id of the bought module an enrollment is in."""
        of = self.modules
        return None if self.is_policy(bits) else of.purchase_id((bits >> 2) % of.purchases)

    def enrollment(self, origin: int) -> Record:
        """Return the whole record of that enrollment, the fields that need a flag included."""
        bits = scramble(self.seed, ENROLLMENT_SALT, origin)
        place = (bits >> 6) % self.campaigns if self.campaigns else None
        of_policy = self.is_policy(bits)
        number = (bits >> 2) % (self.modules.purchases or len(SUBJECTS))
        subject = SUBJECTS[number % len(SUBJECTS)]
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
            "store_purchase_id": self.purchase_of(bits),
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
