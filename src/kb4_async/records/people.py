"""Users, groups and group members."""

from __future__ import annotations

from typing import TypedDict


class User(TypedDict, total=False):
    """A user.

    ``phish_prone_percentage`` is a percentage (14.235 means 14.235 %), unlike that of campaigns,
    which is a fraction. ``groups`` holds the ids of active and archived groups.
    """

    id: int
    employee_number: str | None
    first_name: str | None
    last_name: str | None
    job_title: str | None
    email: str | None
    phish_prone_percentage: float | None
    phone_number: str | None
    extension: str | None
    mobile_phone_number: str | None
    location: str | None
    division: str | None
    manager_name: str | None
    manager_email: str | None
    provisioning_managed: bool
    provisioning_guid: str | None
    groups: list[int] | None
    current_risk_score: float
    aliases: list[str] | None
    joined_on: str | None
    last_sign_in: str | None
    status: str
    organization: str | None
    department: str | None
    language: str | None
    comment: str | None
    employee_start_date: str | None
    archived_at: str | None
    custom_field_1: str | None
    custom_field_2: str | None
    custom_field_3: str | None
    custom_field_4: str | None
    custom_date_1: str | None
    custom_date_2: str | None


class Member(User, total=False):
    """A user as a member of a group; ``group_id`` is added by this library, for the API omits
    it."""

    group_id: int


class Group(TypedDict, total=False):
    """A group. ``group_type`` is ``console_group``, ``smart_group`` or
    ``provisioning_managed_group``."""

    id: int
    name: str
    group_type: str
    provisioning_guid: str | None
    member_count: int
    current_risk_score: float
    status: str
