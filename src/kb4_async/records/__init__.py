"""One ``TypedDict`` a record, as the Reporting API serves it.

Records are plain dicts: unknown keys live on and nothing is dropped, renamed or rounded. Every key
is declared optional (``total=False``) because KnowBe4 added, renamed and omitted keys over the
years. Times are UTC strings ``YYYY-MM-DDTHH:MM:SS.000Z``, dates ``YYYY-MM-DD``. Sources: KnowBe4's
Reporting API reference (2025-09-25) and recorded answers of 2021.
"""

from kb4_async.records.account import Account, Admin
from kb4_async.records.history import GroupRiskScore, RiskScore, UserRiskScore
from kb4_async.records.people import Group, Member, User
from kb4_async.records.phishing import (
    CampaignGroup,
    NamedId,
    PhishingCampaign,
    Recipient,
    RecipientUser,
    SecurityTest,
    SecurityTestCategory,
    SecurityTestSummary,
)
from kb4_async.records.training import (
    Enrollment,
    EnrollmentUser,
    Policy,
    StorePurchase,
    TrainingCampaign,
    TrainingContent,
)

__all__ = [
    "Account",
    "Admin",
    "CampaignGroup",
    "Enrollment",
    "EnrollmentUser",
    "Group",
    "GroupRiskScore",
    "Member",
    "NamedId",
    "PhishingCampaign",
    "Policy",
    "Recipient",
    "RecipientUser",
    "RiskScore",
    "SecurityTest",
    "SecurityTestCategory",
    "SecurityTestSummary",
    "StorePurchase",
    "TrainingCampaign",
    "TrainingContent",
    "User",
    "UserRiskScore",
]
