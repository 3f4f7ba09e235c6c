"""Made-up recipients of phishing security tests."""

from dataclasses import dataclass
from functools import cached_property

from kb4_async.testing.people import respell
from kb4_async.testing.phishing import NO_TEMPLATE, Phishing, Tally, template
from kb4_async.testing.tables import Record, scramble
from kb4_async.testing.words import ascending_key, moment

RECIPIENT_SALT = 23
FIRST_RECIPIENT_ID = 3_077_742
# A prime larger than any test: its multiples visit every rank, and every user, once.
STRIDE = 1_000_003
CITIES = ("St.Petersburg, FL", "Zürich", "São Paulo", "Ōsaka")
BROWSERS = (("Chrome", "48.0", "MacOSX"), ("Firefox", "131.0", "Windows 11"), ("Edge", "18", "iOS"))
USER_KEYS = ("id", "provisioning_guid", "first_name", "last_name", "email")
MACHINE_KEYS = ("ip", "ip_location", "browser", "browser_version", "os")
OLD_USER_KEYS = {"provisioning_guid": "active_directory_guid"}
MINUTE = 60


@dataclass(frozen=True)
class Recipients:
    """How the recipients of one test are made: exactly as many clicked as its record says.

    Attributes:
        phishing: the campaigns of the test's kind.
        test: the number of the test.
    """

    phishing: Phishing
    test: int

    @cached_property
    def tally(self) -> Tally:
        """Return how many did what."""
        return self.phishing.tally(self.test)

    @cached_property
    def pst_id(self) -> int:
        """Return the test's id."""
        return self.phishing.test_id(self.test)

    @cached_property
    def bits(self) -> int:
        """Return what the test is made of."""
        return self.phishing.test_bits(self.test)

    @cached_property
    def first(self) -> int:
        """Return a number so many below which the ids of other tests' recipients may lie."""
        return (self.phishing.first_test + self.test) * self.phishing.most_recipients

    @cached_property
    def scheduled_at(self) -> str | None:
        """Return when the mails were scheduled: when the test was started."""
        return self.phishing.started_at(self.test)

    @cached_property
    def template(self) -> Record | None:
        """Return the template all got, None if each got another."""
        common = self.phishing.template(self.test)
        varied = common == NO_TEMPLATE and self.phishing.state(self.test) != "Error"
        return None if varied else common

    def own_bits(self, number: int) -> int:
        """Return what a recipient is made of."""
        return scramble(self.phishing.people.seed, RECIPIENT_SALT, self.first + number)

    def recipient_id(self, number: int, bits: int) -> int:
        """Return the id of a recipient."""
        base, size = FIRST_RECIPIENT_ID + self.first * 7, self.tally.scheduled
        extreme = self.phishing.people.extreme_ids
        return ascending_key(base, number, size, bits, extreme=extreme)

    def glance(self, number: int) -> Record:
        """Return what look-ups need."""
        return {"recipient_id": self.recipient_id(number, self.own_bits(number))}

    def recipient(self, number: int) -> Record:
        """Return the whole record of a recipient, in the documented order."""
        bits = self.own_bits(number)
        rank = (number * STRIDE + self.bits) % self.tally.scheduled
        record: Record = {
            "recipient_id": self.recipient_id(number, bits),
            "pst_id": self.pst_id,
            "user": self.user(number, bits),
            "template": self.template or template(bits >> 8),
            "scheduled_at": self.scheduled_at,
            **self.deeds(rank, bits),
            **self.machine(rank, bits),
        }
        people = self.phishing.people
        if people.old_spellings and number % 8 == 5:
            record |= {"vulnerable-plugins_at": None, "exploited_at": None}
        if people.extra_keys and bits >> 50 & 63 == 7:
            record["future_block"] = {"id": number, "nested": [{"id": None}]}
        return record

    def user(self, number: int, bits: int) -> Record | None:
        """Return the person as a recipient repeats them; of some nothing is left but the id."""
        people = self.phishing.people
        if not people.users:
            return None
        origin = (self.bits + number * STRIDE) % people.users
        record: Record
        if bits >> 44 & 31 == 7:
            record = {**dict.fromkeys(USER_KEYS), "id": people.user_id(origin)}
        else:
            who = people.identity(origin)
            record = {
                "id": who.id,
                "provisioning_guid": people.provisioning_guid(origin),
                "first_name": who.first_name,
                "last_name": who.last_name,
                "email": who.email,
            }
        if people.old_spellings and number % 8 == 5:
            return respell(record, OLD_USER_KEYS)
        return record

    def deeds(self, rank: int, bits: int) -> Record:
        """Return what a recipient did and when; who clicked also opened, who opened has the mail.

        Ranks are shared out once each, so that counts and recipients agree.
        """
        tally, start = self.tally, self.bits >> 16

        def at(count: int, minutes: int) -> str | None:
            after = minutes * MINUTE + (bits & 0x3FF)
            return moment(start, after=after) if rank < count else None

        reported = tally.delivered - 1 - tally.reported < rank < tally.delivered
        bounced = rank >= tally.scheduled - tally.bounced
        return {
            "delivered_at": at(tally.delivered, 5),
            "opened_at": at(tally.opened, 30),
            "clicked_at": at(tally.clicked, 45),
            "replied_at": at(tally.replied, 200),
            "attachment_opened_at": at(tally.attachment_opened, 50),
            "macro_enabled_at": at(tally.macro_enabled, 52),
            "data_entered_at": at(tally.data_entered, 60),
            "qr_code_scanned": at(tally.qr_code_scanned, 70),
            "reported_at": moment(start, after=300 * MINUTE) if reported else None,
            "bounced_at": moment(start, after=6 * MINUTE) if bounced else None,
        }

    def machine(self, rank: int, bits: int) -> Record:
        """Return where a mail was opened, if it was."""
        if rank >= self.tally.opened:
            return dict.fromkeys(MACHINE_KEYS)
        browser, version, system = BROWSERS[(bits >> 20) % len(BROWSERS)]
        return {
            "ip": f"192.0.2.{bits >> 22 & 0xFF}",
            "ip_location": CITIES[bits >> 32 & 3] if bits >> 34 & 3 else None,
            "browser": browser,
            "browser_version": version if bits >> 36 & 7 else None,
            "os": system,
        }
