"""Risk scores over time."""

from __future__ import annotations

from typing import TypedDict


class RiskScore(TypedDict, total=False):
    """The risk score, from 0 to 100, of one day."""

    risk_score: float
    date: str


class UserRiskScore(RiskScore, total=False):
    """A user's risk score of one day; ``user_id`` is added by this library, for the API omits
    it."""

    user_id: int


class GroupRiskScore(RiskScore, total=False):
    """A group's risk score of one day; ``group_id`` is added by this library, for the API omits
    it."""

    group_id: int
