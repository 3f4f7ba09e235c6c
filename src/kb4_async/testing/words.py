"""Words, dates and keys for made-up records, awkward ones among them."""

from datetime import date, timedelta
from functools import cache

FIRST_NAMES = (
    "Alice", "Bob", "Carol", "David", "Erika", "Farid", "Grace", "Hiro", "Ines", "Jonas", "Kofi",
    "Lena", "Mateo", "Nadia", "Olga", "Priya", "Quentin", "Rosa", "Samir", "Tove", "Uma", "Viktor",
    "Wanda", "Xin", "Yusuf", "Zoë", "Ángel", "Björn", "Chloé", "Łukasz", "美咲", "Дмитрий",
)  # fmt: skip
LAST_NAMES = (
    "Anders", "Bakker", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Ito",
    "Jensen", "Kowalski", "Lopez", "Müller", "Novak", "O'Malley", "Patel", "Quist", "Rossi",
    "Smith", "Tanaka", "Usman", "Van der Berg", "Weber", "Xu", "Yılmaz", "Zhang", "Ştefan", "王",  # noqa: RUF001 - awkward on purpose
    "Nguyễn", "Şahin", "Þórsson", "D’Angelo",  # noqa: RUF001 - awkward on purpose
)  # fmt: skip
# What breaks those who cut JSON, lines or spreadsheets with string functions.
AWKWARD = (
    'say "hello"',
    "back\\slash \\",
    '},{"id":1,"x":"',
    '"}],[{"id":2}',
    "party \U0001f389\U0001f469\u200d\U0001f4bb",
    "line\u2028separator\u2029here",
    "\U0001d518nicode \U00020bb7",
    "tab\tnew\nline\r\nend",
    "nul\u0000bell\u0007",
    " leading and trailing ",
    "=1+1;cmd,|'!A1",
    "null",
    "",
    "\ufeffbom \u202ertl \u00a0",
    "e\u0301 is not \u00e9",
    "<b>&amp;</b>",
)
DEPARTMENTS = ("Sales", "Finance", "Research", "Legal", "Support", "Operations", "Marketing", "IT")
JOB_TITLES = ("Engineer", "Analyst", "VP of Sales", "Clerk", "Nurse", "Director", "Intern", "Buyer")
PLACES = ("Office A", "Office B", "Zürich", "São Paulo", "Ōsaka", "Remote", "Tampa Bay", "Gent")
LANGUAGES = ("English - United States", "Deutsch", "Français - Canada", "Nederlands", "日本語")
DOMAINS = ("example.test", "mail.example.test", "example.invalid")
GROUP_NAMES = (
    "Customer Service",
    "All Staff",
    "Clickers",
    "New Hires",
    "Finance Team",
    "VIP",
    "Contractors",
)
SUBJECTS = (
    "Security Awareness", "Passwords", "Phishing Basics", "Safe Travel", "Privacy", "Ransomware",
    "Social Engineering", "Clean Desk", "Data Handling", "Insider Threat", "Mobile Security", "AI",
)  # fmt: skip

EPOCH = date(2019, 1, 1)
DAY_SECONDS = 86_400
SPAN_SECONDS = 6 * 365 * DAY_SECONDS
# The day an account was made up on: nothing is dated later, but what follows from a mail sent then.
TODAY = (EPOCH + timedelta(seconds=SPAN_SECONDS)).isoformat()
# Times are most of the work of making a record.
MINUTES = tuple(f"{minute // 60:02d}:{minute % 60:02d}" for minute in range(24 * 60))


def moment(bits: int, *, after: int = 0) -> str:
    """Return a UTC time in the served spelling; `after` shifts it by seconds."""
    days, seconds = divmod(bits % SPAN_SECONDS + after, DAY_SECONDS)
    return f"{nth_day(days)}T{MINUTES[seconds // 60]}:{seconds % 60:02d}.000Z"


def day(bits: int) -> str:
    """Return a date in the served spelling."""
    return nth_day(bits % SPAN_SECONDS // DAY_SECONDS)


@cache
def nth_day(number: int) -> str:
    """Return the date so many days after the first, in the served spelling."""
    return (EPOCH + timedelta(days=number)).isoformat()


def day_after(text: str, days: int = 1) -> str:
    """Return the date so many days after another, in the served spelling."""
    return (date.fromisoformat(text) + timedelta(days=days)).isoformat()


def guid(bits: int, more: int) -> str:
    """Return the text of a version 4 UUID made from the given bits."""
    text = f"{bits & (1 << 64) - 1:016x}{more & (1 << 64) - 1:016x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def ascending_key(base: int, number: int, size: int, bits: int, *, extreme: bool = False) -> int:
    """Return key `number` of `size` ascending keys with gaps.

    The last twentieth lies above 2**32, the last hundredth above 2**53 (odd, so that a double
    cannot hold it), and with `extreme` the very last one beyond 64 bits.
    """
    key = base + number * 7 + bits % 6
    if extreme and number == size - 1:
        return (1 << 64) + (1 << 60) + key
    if number >= size - size // 100:
        return (1 << 53) + key | 1
    if number >= size - size // 20:
        return (1 << 32) + key
    return key
