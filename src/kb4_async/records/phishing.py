"""Phishing campaigns, security tests and their recipients."""

from __future__ import annotations

from typing import TypedDict


class CampaignGroup(TypedDict):
    """A group a campaign is for; ``group_id`` 0 means all users."""

    group_id: int
    name: str


class SecurityTestSummary(TypedDict, total=False):
    """A phishing security test as its campaign lists it; ``phish_prone_percentage`` is a
    fraction."""

    pst_id: int
    status: str
    start_date: str | None
    users_count: int | None
    phish_prone_percentage: float | None


class PhishingCampaign(TypedDict, total=False):
    """A phishing campaign. ``last_phish_prone_percentage`` is a fraction from 0 to 1."""

    campaign_id: int
    name: str
    groups: list[CampaignGroup]
    last_phish_prone_percentage: float | None
    last_run: str | None
    status: str
    hidden: bool
    send_duration: str
    track_duration: str
    frequency: str
    difficulty_filter: list[int]
    create_date: str
    psts_count: int
    psts: list[SecurityTestSummary]


class SecurityTestCategory(TypedDict, total=False):
    """A category of templates that a security test drew from."""

    category_id: int
    name: str


class NamedId(TypedDict, total=False):
    """A template or landing page; both are null where a test failed, and id 0 is the default."""

    id: int | None
    name: str | None


class SecurityTest(TypedDict, total=False):
    """A phishing security test (PST).

    ``phish_prone_percentage`` is a fraction from 0 to 1, ``duration`` is in days. The API spells
    ``landing_page`` also as ``landing-page``; the library serves the underscore beside it.
    """

    campaign_id: int
    pst_id: int
    status: str
    name: str
    groups: list[CampaignGroup]
    phish_prone_percentage: float | None
    started_at: str | None
    duration: int
    categories: list[SecurityTestCategory]
    template: NamedId
    landing_page: NamedId
    scheduled_count: int | None
    delivered_count: int
    opened_count: int
    clicked_count: int
    replied_count: int
    attachment_open_count: int
    macro_enabled_count: int
    data_entered_count: int
    qr_code_scanned_count: int
    reported_count: int
    bounced_count: int


class RecipientUser(TypedDict, total=False):
    """The person a recipient's mail went to."""

    id: int
    provisioning_guid: str | None
    first_name: str | None
    last_name: str | None
    email: str | None


class Recipient(TypedDict, total=False):
    """One person in one security test, with the times of what they did; null where they did not.

    ``qr_code_scanned`` is a time like the others in spite of its name.
    """

    recipient_id: int
    pst_id: int
    user: RecipientUser | None
    template: NamedId
    scheduled_at: str | None
    delivered_at: str | None
    opened_at: str | None
    clicked_at: str | None
    replied_at: str | None
    attachment_opened_at: str | None
    macro_enabled_at: str | None
    data_entered_at: str | None
    qr_code_scanned: str | None
    reported_at: str | None
    bounced_at: str | None
    ip: str | None
    ip_location: str | None
    browser: str | None
    browser_version: str | None
    os: str | None
