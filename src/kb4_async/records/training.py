"""Training campaigns, enrollments, store purchases and policies."""

from __future__ import annotations

from typing import TypedDict

from kb4_async.records.phishing import CampaignGroup


class StorePurchase(TypedDict, total=False):
    """A module bought in the ModStore.

    The documentation's example spells its key ``store_purchased_id``; the library serves the modern
    spelling beside that one.
    """

    store_purchase_id: int
    content_type: str
    name: str
    description: str
    type: str
    duration: int | None
    retired: bool
    retirement_date: str | None
    publish_date: str | None
    publisher: str | None
    purchase_date: str
    policy_url: str | None


class TrainingContent(StorePurchase, total=False):
    """A store purchase or a policy inside a training campaign; which one, ``content_type`` says."""

    policy_id: int
    minimum_time: int
    default_language: str
    published: bool


class TrainingCampaign(TypedDict, total=False):
    """A training campaign.

    ``completion_percentage`` is absent with ``exclude_percentages=True`` (the default here, for
    without it the API answers with 10 campaigns at most); -1 means too large to calculate.
    """

    campaign_id: int
    name: str
    groups: list[CampaignGroup]
    status: str
    content: list[TrainingContent]
    duration_type: str
    start_date: str | None
    end_date: str | None
    relative_duration: str | None
    auto_enroll: bool
    allow_multiple_enrollments: bool
    completion_percentage: float


class EnrollmentUser(TypedDict, total=False):
    """The person an enrollment belongs to. ``employee_number`` comes with its include flag."""

    id: int
    first_name: str | None
    last_name: str | None
    email: str | None
    employee_number: str | int | None


class Enrollment(TypedDict, total=False):
    """One person's enrollment in one module of a training campaign.

    ``campaign_id``, ``store_purchase_id`` and ``user.employee_number`` come with their include
    flags (on by default here). There is no due date: ``status`` says ``Past Due``. ``time_spent``
    is in seconds.
    """

    enrollment_id: int
    content_type: str
    module_name: str
    user: EnrollmentUser | None
    campaign_name: str
    campaign_id: int
    store_purchase_id: int | None
    enrollment_date: str | None
    start_date: str | None
    completion_date: str | None
    status: str | None
    time_spent: int
    policy_acknowledged: bool
    score: float | None


class Policy(TypedDict, total=False):
    """An uploaded policy."""

    policy_id: int
    content_type: str
    name: str
    minimum_time: int
    default_language: str
    status: int
