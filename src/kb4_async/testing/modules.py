"""Made-up training modules: store purchases and uploaded policies."""

from dataclasses import dataclass

from kb4_async.testing.people import People, respell
from kb4_async.testing.tables import Record, scramble
from kb4_async.testing.words import AWKWARD, SUBJECTS, ascending_key, moment

PURCHASE_SALT, POLICY_SALT = 11, 12
FIRST_PURCHASE_ID, FIRST_POLICY_ID = 6_420, 2_420
LANGUAGES = ("en-us", "de-de", "fr-ca", "pt-br")
POLICY_URL = "https://www.example.test/employees/acceptable-use.html"


@dataclass(frozen=True)
class Modules:
    """How the modules of one account are made from its seed."""

    people: People
    purchases: int
    policies: int

    def purchase_id(self, number: int) -> int:
        """Return the id of a bought module."""
        bits = scramble(self.people.seed, PURCHASE_SALT, number)
        return ascending_key(FIRST_PURCHASE_ID, number, self.purchases, bits)

    def purchase_glance(self, number: int) -> Record:
        """Return what look-ups need, under its modern name."""
        return {"store_purchase_id": self.purchase_id(number)}

    def purchase(self, number: int) -> Record:
        """Return a bought module as campaigns carry it."""
        bits = scramble(self.people.seed, PURCHASE_SALT, number)
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
            "policy_url": POLICY_URL if bits >> 14 & 3 == 0 else None,
        }

    def listed_purchase(self, number: int) -> Record:
        """Return a bought module as its own endpoint serves it."""
        record = self.purchase(number)
        if self.people.old_spellings and number % 3 == 1:
            record = respell(record, {"store_purchase_id": "store_purchased_id"})
        if self.people.extra_keys and number % 5 == 3:
            record["future_flag"] = True
        return record

    def policy(self, number: int) -> Record:
        """Return an uploaded policy as its own endpoint serves it."""
        bits = scramble(self.people.seed, POLICY_SALT, number)
        subject = SUBJECTS[number % len(SUBJECTS)]
        record: Record = {
            "policy_id": ascending_key(FIRST_POLICY_ID, number, self.policies, bits),
            "content_type": "Uploaded Policy",
            "name": AWKWARD[number % len(AWKWARD)] if number % 8 == 6 else f"{subject} Policy",
            "minimum_time": bits >> 8 & 15,
            "default_language": LANGUAGES[0 if bits >> 12 & 3 else bits >> 14 & 3],
            "status": 1,
        }
        if self.people.extra_keys and number % 5 == 3:
            record["future_flag"] = True
        return record

    def policy_in_campaign(self, number: int) -> Record:
        """Return an uploaded policy as campaigns carry it: with `published`, without `status`."""
        bits = scramble(self.people.seed, POLICY_SALT, number)
        record = self.policy(number)
        names = ("policy_id", "content_type", "name", "minimum_time", "default_language")
        return {name: record[name] for name in names} | {"published": bits & 64 == 0}
