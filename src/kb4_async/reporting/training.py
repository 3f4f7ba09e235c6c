"""``kb.training``: enrollments and campaigns."""

from __future__ import annotations

from kb4_async.protocol.endpoints import ENROLLMENTS, TRAINING_CAMPAIGNS
from kb4_async.records import Enrollment, TrainingCampaign
from kb4_async.reporting.base import MAX_PER_PAGE, PREFETCH, Noun, Verify
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
        per_page: int = MAX_PER_PAGE,
        max_items: int | None = None,
        prefetch: int = PREFETCH,
        verify: Verify = "tail",
        start: str | None = None,
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
            per_page: Page size, 1 to 500.
            max_items: Most records in all; None for every one.
            prefetch: Pages fetched ahead of you.
            verify: ``tail`` looks at the last page again, ``full`` reads twice, ``none`` neither.
            start: Resume token.

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
        return self.listing(
            filters,
            per_page=per_page,
            max_items=max_items,
            prefetch=prefetch,
            verify=verify,
            start=start,
        )

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
        per_page: int = MAX_PER_PAGE,
        max_items: int | None = None,
        prefetch: int = PREFETCH,
        verify: Verify = "tail",
        start: str | None = None,
    ) -> Listing[TrainingCampaign]:
        """List training campaigns; one request for each 500 and a few more (see ``Listing``).

        Args:
            exclude_percentages: Leave out ``completion_percentage``. With False the API stops after
                10 campaigns without saying so; exactly 10 then end in ``IncompleteListingError``.
            per_page: Page size, 1 to 500.
            max_items: Most records in all; None for every one.
            prefetch: Pages fetched ahead of you.
            verify: ``tail`` looks at the last page again, ``full`` reads twice, ``none`` neither.
            start: Resume token.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return self.listing(
            {"exclude_percentages": exclude_percentages},
            per_page=per_page,
            max_items=max_items,
            prefetch=prefetch,
            verify=verify,
            start=start,
        )

    async def get(self, campaign_id: int | str) -> TrainingCampaign:
        """Get one training campaign, with its ``completion_percentage``. One request.

        Raises:
            NotFoundError: There is no such campaign.
            KB4Error: The request failed otherwise.
        """
        return await self.one({"campaign_id": campaign_id}, {})


class Training:
    """Training: ``kb.training.enrollments`` and ``kb.training.campaigns``."""

    def __init__(self, source: Source) -> None:
        self.enrollments = EnrollmentsNoun(source)
        self.campaigns = TrainingCampaignsNoun(source)
