"""Phishing campaigns."""

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
