"""Which column of a file is which field, and what its cells say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.scim.checks import instant
from kb4_async.protocol.scim.schema import BY_FIELD, EMAIL, USER_ATTRIBUTES, Attribute

#: What an empty cell says of its field: nothing, or that it is to be cleared.
Empty = Literal["leave", "clear"]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line or item that was left out.

    Attributes:
        place: Where it stands: ``line 17`` of a file, ``item 17`` of anything else.
        reason: What is wrong with it, in one sentence.
        name: The user name it names, or the group; None where it is not known.
    """

    place: str
    reason: str
    name: str | None = None

    def __str__(self) -> str:
        known = f" ({self.name})" if self.name else ""
        return f"{self.place}{known}: {self.reason}"


#: Headers that are understood besides the names of field and attribute. ``email`` stands for
#: ``user_name`` where no column is called like a user name. Not here, for they would harm: the UPN
#: as user name (where it is not the address, everybody would be made twice), "role" (at KnowBe4 a
#: role in its console), "name" and "address" (whose?).
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "user_name": (
        *("login", "login name", "user login", "Benutzername", "Anmeldename"),
        *("nom d'utilisateur", "identifiant", "nombre de usuario", "usuario"),
    ),
    "active": (
        *("is active", "status", "user status", "account status", "enabled", "account enabled"),
        *("aktiv", "actif", "activo"),
    ),
    "external_id": ("object id",),
    "given_name": (*("first name", "forename", "Vorname", "prénom", "nombre", "nombres"),),
    "family_name": (
        *("last name", "surname", "sn", "Nachname", "Familienname"),
        *("nom", "nom de famille", "apellido", "apellidos"),
    ),
    "email": (
        *("email address", "mail", "mail address", "work email", "work email address"),
        *("business email", "business email address", "company email", "corporate email"),
        *("primary email", "primary email address", "primary work email", "user email"),
        *("primary SMTP address", "emails.value", "E-Mail-Adresse", "Mailadresse"),
        *("dienstliche E-Mail", "geschäftliche E-Mail", "courriel", "adresse e-mail"),
        *("adresse mail", "e-mail professionnel", "correo", "correo electrónico"),
    ),
    "display_name": (
        *("manager name", "manager's name", "supervisor name", "Name des Vorgesetzten"),
    ),
    "title": (
        *("job title", "position", "Stellenbezeichnung", "Funktion"),
        *("poste", "fonction", "cargo", "puesto"),
    ),
    "user_type": ("employee type", "employment type", "worker type"),
    "work_address": (
        *("location", "work location", "office", "office location", "office address"),
        *("business address", "physicalDeliveryOfficeName", "Standort", "lieu de travail"),
    ),
    "work_phone": (
        *("phone", "phone number", "telephone", "telephone number", "work phone number"),
        *("business phone", "office phone", "Telefon", "Telefonnummer", "téléphone", "teléfono"),
    ),
    "mobile_phone": (
        *("mobile", "mobile number", "mobile phone number", "cell", "cell phone"),
        *("Handy", "Mobiltelefon", "Mobilnummer", "portable", "téléphone portable"),
        *("móvil", "celular"),
    ),
    "employee_number": (
        *("employee id", "employee no", "emp id", "personnel number", "staff id"),
        *("staff number", "worker id", "Personalnummer", "Mitarbeiternummer", "matricule"),
        *("número de empleado",),
    ),
    "department": (
        *("dept", "department name", "Abteilung", "département", "service", "departamento"),
    ),
    "division": ("business unit", "Bereich", "división"),
    "organization": ("organisation", "org", "organización"),
    "manager": (
        *("manager email", "manager email address", "manager mail", "supervisor email"),
        *("E-Mail des Vorgesetzten",),
    ),
    "hostname": ("computer name",),
    "company_name": ("company", "Firma", "Unternehmen", "entreprise", "société", "empresa"),
    "country": ("Land", "pays", "país"),
    "mail_nick_name": ("alias",),
    "on_premises_security_identifier": ("object SID",),
    "user_principal_name": ("UPN",),
    "last_password_change_date_time": ("last password change",),
}

#: The same for files of groups; a user is found by what the user's name or address is called, too.
GROUP_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "display_name": ("group", "group name", "group display name", "Gruppe", "groupe", "grupo"),
    "members": (
        *("member", "member email", "member name", "user", "Mitglied", "Mitglieder"),
        *("membre", "membres", "miembro", "miembros"),
    ),
}

FILLING = re.compile(r"[\s_.\-\u2010-\u2015]+")


def normal(header: str) -> str:
    """A header as it is compared: without case, spaces, ``_``, ``-`` and ``.``."""
    return FILLING.sub("", unicodedata.normalize("NFKC", header)).casefold()


def names_of(attribute: Attribute) -> Iterable[str]:
    """The names of an attribute: the field's, SCIM's, and the last part of SCIM's."""
    yield from (attribute.field, attribute.name)
    if attribute.leaf not in {"value", "formatted"}:
        yield attribute.leaf
    elif attribute.parent == "manager":
        yield from (attribute.parent, f"{attribute.block}:{attribute.parent}")
    if not attribute.block:
        yield f"urn:ietf:params:scim:schemas:core:2.0:User:{attribute.name}"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What headers may be called.

    Attributes:
        names: Fields by their normal names: what ``columns`` may say.
        words: Fields by every header that is understood.
        needed: Fields that must have a column.
        instead: A field, and the one whose column serves it where it has none; in this order.
        spare: Fields whose columns are ignored if they serve no other.
    """

    names: Mapping[str, str]
    words: Mapping[str, str]
    needed: tuple[str, ...]
    instead: tuple[tuple[str, str], ...]
    spare: frozenset[str] = frozenset()


def words_of(names: Mapping[str, str], synonyms: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Fields by every header."""
    return {**names, **{normal(word): field for field in synonyms for word in synonyms[field]}}


USER_NAMES = {normal(name): each.field for each in USER_ATTRIBUTES for name in names_of(each)}
#: Directories call the user's own name so, which at KnowBe4 would become the manager's: only who
#: says so in ``columns`` has it written.
MISLEADING = frozenset({"displayname"})
USERS = Vocabulary(
    USER_NAMES,
    {word: name for word, name in words_of(USER_NAMES, SYNONYMS).items() if word not in MISLEADING},
    needed=("user_name",),
    instead=(("user_name", EMAIL.field),),
)
GROUP_NAMES = {
    **{normal(each): "display_name" for each in ("display_name", "group")},
    **{normal(each): "members" for each in ("members", "member", "user_name")},
}
GROUPS = Vocabulary(
    GROUP_NAMES,
    {
        **{word: name for word, name in USERS.words.items() if name in {"user_name", EMAIL.field}},
        **words_of({"displayname": "display_name", "members": "members"}, GROUP_SYNONYMS),
    },
    needed=("display_name", "members"),
    instead=(("members", "user_name"), ("members", EMAIL.field)),
    spare=frozenset({"user_name", EMAIL.field}),
)

#: What ``columns`` said: by normal header, the header as given and its field; None to ignore it.
Wanted = Mapping[str, tuple[str, str | None]]


def read_wanted(columns: Mapping[str, str | None] | None, vocabulary: Vocabulary) -> Wanted:
    """Read what a caller says of columns.

    Raises:
        ConfigurationError: There is no such field, or two columns are to be one field.
    """
    wanted: dict[str, tuple[str, str | None]] = {}
    taken: dict[str, str] = {}
    for header, said in (columns or {}).items():
        if not isinstance(header, str) or not isinstance(said, str | None):
            msg = f"columns says which field a header is, as text, not {header!r}: {said!r}."
            raise ConfigurationError(msg)
        named = vocabulary.names.get(normal(said)) if said else None
        if said and named is None:
            fields = ", ".join(dict.fromkeys(vocabulary.names.values()))
            msg = f"columns: {header!r} cannot be {said!r}, for the fields are {fields}."
            raise ConfigurationError(msg)
        if named is not None and taken.setdefault(named, header) != header:
            msg = f"columns: only one of {taken[named]!r} and {header!r} can be {named}."
            raise ConfigurationError(msg)
        wanted[normal(header)] = (header, named)
    return wanted


@dataclass(slots=True)
class Columns:
    """A file's columns.

    Attributes:
        fields: Place and header of each field's column.
        ignored: Headers that are not understood or not wanted.
    """

    fields: dict[str, tuple[int, str]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    def add(self, name: str, place: int, header: str) -> None:
        """Take a column.

        Raises:
            ConfigurationError: Another one is the same field.
        """
        if name in self.fields:
            msg = (
                f"the columns {self.fields[name][1]!r} and {header!r} are both {name}: say "
                f"columns={{{header!r}: None}} (--column {header!r}=) to ignore one."
            )
            raise ConfigurationError(msg)
        self.fields[name] = (place, header)


def match(headers: Sequence[str], wanted: Wanted, vocabulary: Vocabulary) -> Columns:
    """Find each field's column.

    Raises:
        ConfigurationError: A needed field has no column, or a field has two.
    """
    found = Columns()
    told: set[str] = set()
    for place, header in enumerate(headers):
        named = wanted.get(normal(header), ("", None))[1]
        if named is not None:
            found.add(named, place, header)
            told.add(named)
    for place, header in enumerate(headers):
        key = normal(header)
        guess = vocabulary.words.get(key)
        if key in wanted and wanted[key][1] is not None:
            continue
        # What a caller says of a field beats what a header is called.
        if key in wanted or guess is None or guess in told:
            found.ignored.append(header or f"(column {place + 1})")
        else:
            found.add(guess, place, header)
    for name, other in vocabulary.instead:
        if name not in found.fields and other in found.fields and other not in told:
            found.fields[name] = found.fields.pop(other)
    for name in vocabulary.spare & found.fields.keys():
        found.ignored.append(found.fields.pop(name)[1])
    check_needed(found, headers, vocabulary)
    return found


def check_needed(found: Columns, headers: Sequence[str], vocabulary: Vocabulary) -> None:
    """Refuse a file without a column that it must have."""
    for name in vocabulary.needed:
        if name in found.fields:
            continue
        shown = ", ".join(show(each, 40) for each in headers[:40])
        first = "; the first line must name the columns" if any(map(is_address, headers)) else ""
        msg = (
            f"no column is {name}: the headers are {shown}{first}; say which one it is with "
            f"columns={{header: {name!r}}} (--column HEADER={name})."
        )
        raise ConfigurationError(msg)


def check_lacking(wanted: Wanted, headers: Iterable[str]) -> None:
    """Refuse a column that a caller names and the file lacks."""
    there = list(headers)
    known = {normal(each) for each in there}
    for key, (given, _) in wanted.items():
        if key not in known:
            shown = ", ".join(show(each, 40) for each in there[:40])
            msg = f"there is no column {given!r}, which columns= names: the headers are {shown}."
            raise ConfigurationError(msg)


def show(text: str, most: int = 80) -> str:
    """A value for people, not endless."""
    return repr(text if len(text) <= most else f"{text[:most]}...")


PLAIN_ADDRESS = re.compile(r'[^\s@"\x00-\x1f\x7f]+@[^\s@"\x00-\x1f\x7f]+', re.ASCII)
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"')
#: White space, control characters, and what is not seen at all: it would make another user.
UNSEEN = re.compile("[\\s\x00-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u2028-\u202f\u2060-\u206f\ufeff]")


def is_address(text: str) -> bool:
    """Whether a text looks like an address for mail: one ``@`` outside quotes, something on both
    sides of it, and no white space or control character."""
    if text.isascii() and PLAIN_ADDRESS.fullmatch(text):
        return True
    if UNSEEN.search(text):
        return False
    parts = QUOTED.sub("q", text).split("@")
    return len(parts) == 2 and all(parts)


def no_address(text: str) -> str:
    """The sentence about what is none."""
    return f"{show(text)} is no e-mail address"


FLAGS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "yes", "1", "active", "enabled"), True),
    **dict.fromkeys(("false", "no", "0", "inactive", "archived", "terminated", "disabled"), False),
}


def read_cell(name: str, header: str, text: str) -> str | bool:
    """A field's value as a cell writes it.

    Raises:
        ValueError: It is none; the message says why.
    """
    if "\0" in text:
        msg = f"the column {header!r} holds a NUL byte: remove it, or say which encoding it is in"
        raise ValueError(msg)
    kind = BY_FIELD[name].kind
    if kind == "flag":
        if text.casefold() not in FLAGS:
            msg = f"{show(text)} in the column {header!r} is neither yes nor no"
            raise ValueError(msg)
        return FLAGS[text.casefold()]
    if kind == "moment" and not is_moment(text):
        msg = f"{show(text)} in the column {header!r} is no time like 2026-11-24 (ISO 8601)"
        raise ValueError(msg)
    if name in {"user_name", "email"} and not is_address(text):
        msg = f"{no_address(text)}: correct it in the column {header!r}"
        raise ValueError(msg)
    return text


def is_moment(text: str) -> bool:
    """Whether a text is a date or time of ISO 8601."""
    try:
        return instant(text) is not None
    except OverflowError:  # in UTC it lies before the year 1 or after 9999
        return False
