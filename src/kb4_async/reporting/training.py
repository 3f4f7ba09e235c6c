"""``kb.training``: enrollments, campaigns, store purchases and policies."""

from __future__ import annotations

from typing import Unpack

from kb4_async.protocol.endpoints import (
    ENROLLMENTS,
    POLICIES,
    STORE_PURCHASES,
    TRAINING_CAMPAIGNS,
)
from kb4_async.records import Enrollment, Policy, StorePurchase, TrainingCampaign
from kb4_async.reporting.base import ListOptions, Noun
from kb4_async.runtime.listing import Listing
from kb4_async.runtime.source import Source


class EnrollmentsNoun(Noun[Enrollment]):
    """Training enrollments."""

    endpoint = ENROLLMENTS

    def list(
        self,
        *,
        store_purchase_id: int | str | None = None,
        campaign_id: int | str | None = None,
        user_id: int | str | None = None,
        exclude_archived_users: bool | None = None,
        include_campaign_id: bool = True,
        include_store_purchase_id: bool = True,
        include_employee_number: bool = True,
        **options: Unpack[ListOptions],
    ) -> Listing[Enrollment]:
        """List enrollments; one request for each 500 and a few more (see ``Listing``).

        Args:
            store_purchase_id: Only of this store purchase.
            campaign_id: Only of this training campaign.
            user_id: Only of this user.
            exclude_archived_users: Leave out archived users.
            include_campaign_id: Serve ``campaign_id``.
            include_store_purchase_id: Serve ``store_purchase_id``.
            include_employee_number: Serve ``user.employee_number``.
            **options: ``per_page``, ``max_items``, ``prefetch``, ``verify``, ``start``: see
                ``ListOptions``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        filters = {
            "store_purchase_id": store_purchase_id,
            "campaign_id": campaign_id,
            "user_id": user_id,
            "exclude_archived_users": exclude_archived_users,
            "include_campaign_id": include_campaign_id,
            "include_store_purchase_id": include_store_purchase_id,
            "include_employee_number": include_employee_number,
        }
        return self.listing(filters, **options)

    async def get(
        self, enrollment_id: int | str, *, include_campaign_id: bool = True
    ) -> Enrollment:
        """Get one enrollment. One request.

        Raises:
            NotFoundError: There is no such enrollment.
            KB4Error: The request failed otherwise.
        """
        filters = {"include_campaign_id": include_campaign_id}
        return await self.one({"enrollment_id": enrollment_id}, filters)


class TrainingCampaignsNoun(Noun[TrainingCampaign]):
    """Training campaigns."""

    endpoint = TRAINING_CAMPAIGNS

    def list(
        self,
        *,
        exclude_percentages: bool = True,
        **options: Unpack[ListOptions],
    ) -> Listing[TrainingCampaign]:
        """List training campaigns; one request for each 500 and a few more (see ``Listing``).

        Args:
            exclude_percentages: Leave out ``completion_percentage``. With False the API stops after
                10 campaigns without saying so; exactly 10 then end in ``IncompleteListingError``.
            **options: ``per_page``, ``max_items``, ``prefetch``, ``verify``, ``start``: see
                ``ListOptions``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return self.listing({"exclude_percentages": exclude_percentages}, **options)

    async def get(self, campaign_id: int | str) -> TrainingCampaign:
        """Get one training campaign, with its ``completion_percentage``. One request.

        Raises:
            NotFoundError: There is no such campaign.
            KB4Error: The request failed otherwise.
        """
        # Left out, the parameter serves the percentage; that of one campaign has no limit of 10.
        return await self.one({"campaign_id": campaign_id}, {"exclude_percentages": None})


class StorePurchasesNoun(Noun[StorePurchase]):
    """Modules bought in the ModStore."""

    endpoint = STORE_PURCHASES

    def list(self, **options: Unpack[ListOptions]) -> Listing[StorePurchase]:
        """List store purchases; one request for each 500 and a few more (see ``Listing``).

        Args:
            **options: ``per_page``, ``max_items``, ``prefetch``, ``verify``, ``start``: see
                ``ListOptions``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return self.listing({}, **options)

    async def get(self, store_purchase_id: int | str) -> StorePurchase:
        """Get one store purchase. One request.

        Raises:
            NotFoundError: There is no such store purchase.
            KB4Error: The request failed otherwise.
        """
        return await self.one({"store_purchase_id": store_purchase_id}, {})


class PoliciesNoun(Noun[Policy]):
    """Uploaded policies."""

    endpoint = POLICIES

    def list(self, **options: Unpack[ListOptions]) -> Listing[Policy]:
        """List policies; one request for each 500 and a few more (see ``Listing``).

        Args:
            **options: ``per_page``, ``max_items``, ``prefetch``, ``verify``, ``start``: see
                ``ListOptions``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return self.listing({}, **options)

    async def get(self, policy_id: int | str) -> Policy:
        """Get one policy. One request.

        Raises:
            NotFoundError: There is no such policy.
            KB4Error: The request failed otherwise.
        """
        return await self.one({"policy_id": policy_id}, {})


class Training:
    """Training: enrollments, campaigns, store purchases and policies."""

    def __init__(self, source: Source) -> None:
        self.enrollments = EnrollmentsNoun(source)
        self.campaigns = TrainingCampaignsNoun(source)
        self.store_purchases = StorePurchasesNoun(source)
        self.policies = PoliciesNoun(source)
