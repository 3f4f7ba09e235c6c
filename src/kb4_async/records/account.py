"""The account."""

from __future__ import annotations

from typing import TypedDict


class Admin(TypedDict, total=False):
    """An administrator of the account."""

    id: int
    first_name: str
    last_name: str
    email: str


class Account(TypedDict, total=False):
    """The account a Reporting key belongs to.

    Trial accounts lack ``subscription_level``, ``subscription_end_date`` and ``number_of_seats``.
    ``current_risk_score`` runs from 0 to 100.
    """

    name: str
    type: str
    domains: list[str]
    admins: list[Admin]
    subscription_level: str
    subscription_end_date: str | None
    number_of_seats: int
    current_risk_score: float | None
