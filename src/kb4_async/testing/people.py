"""Made-up users and groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from kb4_async.testing.tables import Record, scramble
from kb4_async.testing.words import (
    AWKWARD,
    DEPARTMENTS,
    DOMAINS,
    FIRST_NAMES,
    GROUP_NAMES,
    JOB_TITLES,
    LANGUAGES,
    LAST_NAMES,
    PLACES,
    ascending_key,
    day,
    guid,
    moment,
)

USER_SALT, PROFILE_SALT, GROUP_SALT, GROUP_PICK_SALT = 1, 2, 3, 4
FIRST_USER_ID = 667_542
FIRST_GROUP_ID = 3_142


@dataclass(frozen=True, slots=True)
class Identity:
    """What other records repeat of a user."""

    id: int
    first_name: str | None
    last_name: str | None
    email: str | None
    employee_number: str | None


@dataclass(frozen=True)
class People:
    """How the users and groups of one account are made from its seed."""

    seed: int
    users: int
    groups: int
    extreme_ids: bool = False
    extra_keys: bool = True
    old_spellings: bool = False

    def user_id(self, origin: int) -> int:
        """Return the id of that user."""
        bits = scramble(self.seed, USER_SALT, origin)
        return ascending_key(FIRST_USER_ID, origin, self.users, bits, extreme=self.extreme_ids)

    def is_archived(self, origin: int) -> bool:
        """Say whether that user is archived (about one in nine)."""
        return scramble(self.seed, USER_SALT, origin) >> 8 & 0xFF < 28

    @cached_property
    def group_ids(self) -> Sequence[int]:
        """Return the ids of all groups."""
        return [
            ascending_key(
                FIRST_GROUP_ID, place, self.groups, scramble(self.seed, GROUP_SALT, place)
            )
            for place in range(self.groups)
        ]

    def groups_of(self, origin: int) -> list[int] | None:
        """Return the ids of that user's groups: up to five, the first groups the fullest.

        The last group stays empty, and a few archived users have null.
        """
        bits = scramble(self.seed, GROUP_PICK_SALT, origin)
        if bits & 0xF == 0 and self.is_archived(origin):
            return None
        choices = self.groups - 1
        if choices < 1:
            return []
        picked = set()
        for shift in range(16, 16 + 8 * ((bits >> 4 & 7) % 6), 8):
            share = bits >> shift & 0xFF
            picked.add(share * share * choices >> 16)
        return [self.group_ids[place] for place in sorted(picked)]

    def identity(self, origin: int) -> Identity:
        """Return the name, address and number of that user."""
        bits = scramble(self.seed, USER_SALT, origin)
        first: str | None = FIRST_NAMES[bits >> 16 & 31]
        last: str | None = LAST_NAMES[bits >> 21 & 31]
        handle = f"{first}.{last}.{origin}".lower().replace(" ", "").replace("'", "")
        email: str | None = f"{handle}@{DOMAINS[(bits >> 26) % len(DOMAINS)]}"
        rare = bits >> 32 & 0xFF
        if rare < 20:
            last = f"{AWKWARD[rare % len(AWKWARD)]}"
        elif rare == 20:
            first = last = None
        elif rare == 21:
            email = None
        elif rare == 22 and origin:
            twin = self.identity(origin - 1).email
            email = twin and twin.upper()
        number = None if bits >> 40 & 7 == 0 else f"{10_000 + origin:06d}"
        return Identity(self.user_id(origin), first, last, email, number)

    def user_glance(self, origin: int) -> Record:
        """Return what filters look at."""
        status = "archived" if self.is_archived(origin) else "active"
        return {"id": self.user_id(origin), "groups": self.groups_of(origin), "status": status}

    def user(self, origin: int) -> Record:
        """Return the whole record of that user, in the documented order."""
        who = self.identity(origin)
        bits = scramble(self.seed, PROFILE_SALT, origin)
        archived = self.is_archived(origin)
        directory_id = provisioning_guid(bits, origin)
        department = DEPARTMENTS[bits >> 2 & 7]
        odd = bits >> 5 & 63
        record: Record = {
            "id": who.id,
            "employee_number": who.employee_number,
            "first_name": who.first_name,
            "last_name": who.last_name,
            "job_title": None if odd == 1 else JOB_TITLES[bits >> 11 & 7],
            "email": who.email,
            "phish_prone_percentage": None if odd < 8 else (bits >> 14) % 100_001 / 1000,
            "phone_number": None if odd & 1 else f"555-{bits >> 20 & 0x3FF:04d}",
            "extension": None if odd & 2 else str(bits >> 24 & 0xFF),
            "mobile_phone_number": None if odd & 4 else f"+1 555 {bits >> 28 & 0xFFFF:06d}",
            "location": None if odd == 9 else PLACES[bits >> 30 & 7],
            "division": None if odd & 8 else department,
            "manager_name": None if odd & 16 else "Jordan Example",
            "manager_email": None if odd & 16 else f"manager{bits >> 33 & 31}@{DOMAINS[0]}",
            "provisioning_managed": directory_id is not None,
            "provisioning_guid": directory_id,
            "groups": self.groups_of(origin),
            "current_risk_score": (bits >> 36) % 100_001 / 1000,
            "aliases": None if odd == 10 else self.aliases(origin, odd),
            "joined_on": None if odd == 11 else moment(bits >> 3),
            "last_sign_in": None if odd & 32 else moment(bits >> 7),
            "status": "archived" if archived else "active",
            "organization": None if odd == 12 else "Example, Inc",
            "department": None if odd == 13 else department,
            "language": None if odd & 1 else LANGUAGES[(bits >> 40) % len(LANGUAGES)],
            "comment": AWKWARD[bits >> 44 & 15] if odd < 6 else None,
            "employee_start_date": None if odd & 2 else moment(bits >> 9),
            "archived_at": moment(bits >> 11) if archived else None,
            "custom_field_1": "Building C, 4th Floor" if odd & 4 else None,
            "custom_field_2": AWKWARD[bits >> 48 & 15] if odd == 7 else None,
            "custom_field_3": None,
            "custom_field_4": "x" * 300 if odd == 14 else None,
            "custom_date_1": day(bits >> 13) if odd & 8 else None,
            "custom_date_2": None,
        }
        if self.old_spellings and odd == 15:
            record = respell(record, OLD_USER_KEYS)
        if self.extra_keys and odd == 16:
            record["assigned_training_language"] = "en-us"
            record["future_block"] = {"id": origin, "nested": [{"id": None}, [], {}], "ratio": 1e-7}
        return record

    def provisioning_guid(self, origin: int) -> str | None:
        """Return what identifies that user in the directory they come from, if from any."""
        return provisioning_guid(scramble(self.seed, PROFILE_SALT, origin), origin)

    def aliases(self, origin: int, odd: int) -> list[str]:
        """Return up to two further addresses of that user."""
        return [
            f"alias{number}.{origin}@{DOMAINS[0]}" for number in range(odd % 3 if odd & 32 else 0)
        ]

    def group(self, place: int) -> Record:
        """Return the record of the group at that place, its members still to be counted."""
        bits = scramble(self.seed, GROUP_SALT, place)
        kind = ("console_group", "smart_group", "provisioning_managed_group")[
            bits >> 8 & 0xFF and (bits >> 8) % 3
        ]
        managed = kind == "provisioning_managed_group"
        name = GROUP_NAMES[(bits >> 16) % len(GROUP_NAMES)]
        record: Record = {
            "id": self.group_ids[place],
            "name": AWKWARD[place // 9 % len(AWKWARD)] if place % 9 == 4 else f"{name} {place}",
            "group_type": kind,
            "provisioning_guid": guid(bits, place) if managed else None,
            "member_count": 0,
            "current_risk_score": (bits >> 24) % 100_001 / 1000,
            "status": "archived" if place % 7 == 5 else "active",
        }
        if self.old_spellings and managed and place % 2:
            record["group_type"] = "adi_managed_group"
            record = respell(record, OLD_GROUP_KEYS)
        if self.extra_keys and place % 11 == 3:
            record["future_flag"] = False
        return record

    def all_users(self) -> Record:
        """Return how campaigns name everybody."""
        return {"group_id": 0, "name": "All Users"}

    def group_reference(self, bits: int) -> Record:
        """Return how campaigns name one of the groups, or everybody where there is none."""
        if not self.groups or bits & 3 == 0:
            return self.all_users()
        place = (bits >> 2) % self.groups
        return {"group_id": self.group_ids[place], "name": self.group(place)["name"]}


def provisioning_guid(bits: int, origin: int) -> str | None:
    """Return the identifier of a user whose profile is made of those bits."""
    return guid(bits, origin) if bits & 3 == 0 else None


OLD_USER_KEYS: Mapping[str, str] = {
    "provisioning_managed": "adi_manageable",
    "provisioning_guid": "adi_guid",
}
OLD_GROUP_KEYS: Mapping[str, str] = {"provisioning_guid": "adi_guid"}


def respell(record: Record, names: Mapping[str, str]) -> Record:
    """Return the record with some keys under their old names, in place."""
    return {names.get(key, key): value for key, value in record.items()}
