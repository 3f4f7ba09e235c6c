"""Made-up risk scores, one a day."""

from dataclasses import dataclass
from functools import cached_property

from kb4_async.testing.tables import Changes, Record, Table, scramble
from kb4_async.testing.words import TODAY, day_after

ACCOUNT_SALT, GROUP_SALT, USER_SALT = 31, 32, 33
WIGGLE = 4_001


@dataclass(frozen=True)
class Histories:
    """How the risk scores of one account are made from its seed, the newest day last."""

    seed: int
    days: int

    @cached_property
    def dates(self) -> list[str]:
        """Return all days, oldest first."""
        return [day_after(TODAY, number - self.days + 1) for number in range(self.days)]

    def table(self, salt: int, origin: int, days: int, changes: Changes) -> Table:
        """Return the scores of the last `days` days; they wander around a score of their own."""
        dates = self.dates[len(self.dates) - days :]
        usual = scramble(self.seed, salt, origin)

        def score(number: int) -> Record:
            bits = scramble(usual, salt, number)
            around = usual % 90_000 + bits % WIGGLE
            return {"risk_score": around / 1000, "date": dates[number]}

        def glance(number: int) -> Record:
            return {"date": dates[number]}

        return Table(days, score, key="date", glance=glance, changes=changes)

    def account(self, changes: Changes) -> Table:
        """Return the scores of the whole account."""
        return self.table(ACCOUNT_SALT, 0, self.days, changes)

    def group(self, origin: int, changes: Changes) -> Table:
        """Return the scores of a group; one in seven is new, one in twenty has none."""
        return self.table(GROUP_SALT, origin, self.length(GROUP_SALT, origin), changes)

    def user(self, origin: int, changes: Changes) -> Table:
        """Return the scores of a user; one in seven is new, one in twenty has none."""
        return self.table(USER_SALT, origin, self.length(USER_SALT, origin), changes)

    def length(self, salt: int, origin: int) -> int:
        """Return for how many days there are scores."""
        if origin % 20 == 19:
            return 0
        if origin % 7 == 4:
            return scramble(self.seed, salt, origin) % (self.days + 1)
        return self.days
