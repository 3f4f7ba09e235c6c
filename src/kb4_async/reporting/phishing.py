"""``kb.phishing``: campaigns."""

from __future__ import annotations

from typing import Literal

from kb4_async.protocol.endpoints import PHISHING_CAMPAIGNS
from kb4_async.records import PhishingCampaign
from kb4_async.reporting.base import MAX_PER_PAGE, PREFETCH, Noun, Verify
from kb4_async.runtime.listing import Listing
from kb4_async.runtime.source import Source


class PhishingCampaignsNoun(Noun[PhishingCampaign]):
    """Phishing campaigns."""

    endpoint = PHISHING_CAMPAIGNS

    def list(
        self,
        *,
        campaign_type: Literal["callback"] | None = None,
        per_page: int = MAX_PER_PAGE,
        max_items: int | None = None,
        prefetch: int = PREFETCH,
        verify: Verify = "tail",
        start: str | None = None,
    ) -> Listing[PhishingCampaign]:
        """List phishing campaigns; one request for each 500 and a few more (see ``Listing``).

        Args:
            campaign_type: ``callback`` lists callback campaigns, which the plain list leaves out.
            per_page: Page size, 1 to 500.
            max_items: Most records in all; None for every one.
            prefetch: Pages fetched ahead of you.
            verify: ``tail`` looks at the last page again, ``full`` reads twice, ``none`` neither.
            start: Resume token.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return self.listing(
            {"campaign_type": campaign_type},
            per_page=per_page,
            max_items=max_items,
            prefetch=prefetch,
            verify=verify,
            start=start,
        )

    async def get(
        self, campaign_id: int | str, *, campaign_type: Literal["callback"] | None = None
    ) -> PhishingCampaign:
        """Get one phishing campaign. One request.

        Raises:
            NotFoundError: There is no such campaign.
            KB4Error: The request failed otherwise.
        """
        return await self.one({"campaign_id": campaign_id}, {"campaign_type": campaign_type})


class Phishing:
    """Phishing: ``kb.phishing.campaigns``."""

    def __init__(self, source: Source) -> None:
        self.campaigns = PhishingCampaignsNoun(source)
