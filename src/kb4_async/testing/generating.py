"""How a made-up account is asked for."""

from kb4_async.testing.account import Account
from kb4_async.testing.history import Histories
from kb4_async.testing.holdings import Sources
from kb4_async.testing.learning import Learning
from kb4_async.testing.modules import Modules
from kb4_async.testing.people import People
from kb4_async.testing.phishing import Phishing
from kb4_async.testing.words import SUBJECTS

ENROLLMENTS_A_USER = 3
CALLBACKS_A_CAMPAIGN = 3
HISTORY_DAYS = 400


def generate_account(
    seed: int = 7,
    *,
    users: int = 1200,
    groups: int = 40,
    enrollments: int | None = None,
    training_campaigns: int = 12,
    store_purchases: int | None = None,
    policies: int | None = None,
    phishing_campaigns: int = 6,
    tests_a_campaign: int | None = None,
    recipients_a_test: int | None = None,
    history_days: int = HISTORY_DAYS,
    trial: bool = False,
    extreme_ids: bool = False,
    string_member_ids: bool = False,
    extra_keys: bool = True,
    old_spellings: bool = False,
) -> Account:
    """Return a made-up account, the same for the same arguments.

    Args:
        seed: what everything is derived from.
        users: number of users, active and archived.
        groups: number of groups, active and archived; the last one is empty.
        enrollments: number of training enrollments; three a user if not given.
        training_campaigns: number of training campaigns.
        store_purchases: number of bought modules; a dozen, if there is any training.
        policies: number of uploaded policies; a dozen, if there is any training.
        phishing_campaigns: number of phishing campaigns; callback campaigns come on top.
        tests_a_campaign: number of security tests of each phishing campaign; none to three if not
            given. One test in eight failed.
        recipients_a_test: number of recipients of each test; about 40 if not given, none where
            the test has not begun. A test that failed has a few.
        history_days: number of days with a risk score; some groups and users have fewer, or none,
            and so has an account without users.
        trial: leave out the account's subscription fields, as a recorded trial account did.
        extreme_ids: give the last user, enrollment, security test and recipient of each test an
            id beyond 64 bits.
        string_member_ids: serve the ids of group members as strings.
        extra_keys: put keys nobody documented on some records.
        old_spellings: give some records the field names of former years.
    """
    people = People(seed, users, groups, extreme_ids, extra_keys, old_spellings)
    rows = users * ENROLLMENTS_A_USER if enrollments is None else enrollments
    usual = len(SUBJECTS) if training_campaigns or rows else 0
    modules = Modules(
        people,
        usual if store_purchases is None else store_purchases,
        usual if policies is None else policies,
    )
    phishing = Phishing(
        people,
        phishing_campaigns,
        tests_a_campaign=tests_a_campaign,
        recipients_a_test=recipients_a_test,
    )
    callbacks = Phishing(
        people,
        -(-phishing_campaigns // CALLBACKS_A_CAMPAIGN),
        first=phishing_campaigns,
        tests_a_campaign=tests_a_campaign,
        recipients_a_test=recipients_a_test,
        first_test=len(phishing.test_places),
    )
    sources = Sources(
        people=people,
        learning=Learning(people, modules, training_campaigns, rows),
        phishing=phishing,
        callbacks=callbacks,
        histories=Histories(seed, history_days if users else 0),
    )
    return Account(sources, trial=trial, string_member_ids=string_member_ids)
