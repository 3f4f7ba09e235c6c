"""``kb.phishing``: campaigns, security tests and their recipients."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, Unpack

from kb4_async.protocol.codec import plain_key
from kb4_async.protocol.endpoints import (
    CAMPAIGN_SECURITY_TESTS,
    PHISHING_CAMPAIGNS,
    RECIPIENTS,
    SECURITY_TESTS,
)
from kb4_async.records import PhishingCampaign, Recipient, SecurityTest, SecurityTestSummary
from kb4_async.reporting.base import EachOptions, ListOptions, Noun, recount
from kb4_async.reporting.parents import Parents, children_of, count_in, users_counts
from kb4_async.runtime.fanout import FanOut, OnError
from kb4_async.runtime.listing import Listing
from kb4_async.runtime.source import Source

#: ``callback`` names callback campaigns, which every endpoint leaves out unless asked for.
CampaignType = Literal["callback"]


class PhishingCampaignsNoun(Noun[PhishingCampaign]):
    """Phishing campaigns."""

    endpoint = PHISHING_CAMPAIGNS

    def list(
        self, *, campaign_type: CampaignType | None = None, **options: Unpack[ListOptions]
    ) -> Listing[PhishingCampaign]:
        """List phishing campaigns; one request for each 500 and a few more (see ``Listing``).

        Args:
            campaign_type: ``callback`` lists callback campaigns, which the plain list leaves out.
            **options: ``per_page``, ``max_items``, ``prefetch``, ``verify``, ``start``: see
                ``ListOptions``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return self.listing({"campaign_type": campaign_type}, **options)

    async def get(
        self, campaign_id: int | str, *, campaign_type: CampaignType | None = None
    ) -> PhishingCampaign:
        """Get one phishing campaign. One request.

        Args:
            campaign_id: The campaign.
            campaign_type: ``callback`` if it is a callback campaign.

        Raises:
            NotFoundError: There is no such campaign.
            KB4Error: The request failed otherwise.
        """
        return await self.one({"campaign_id": campaign_id}, {"campaign_type": campaign_type})

    def security_tests(
        self,
        campaign_id: int | str,
        *,
        campaign_type: CampaignType | None = None,
        psts_count: int | None = None,
        **options: Unpack[ListOptions],
    ) -> Listing[SecurityTest]:
        """List one campaign's security tests.

        All tests of the account cost less by ``security_tests.list()``.

        Args:
            campaign_id: The campaign.
            campaign_type: ``callback`` if it is a callback campaign.
            psts_count: The campaign record's ``psts_count``: with it the listing costs one request
                for each 500 tests and nothing more.
            **options: As for ``list``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        scope, filters = {"campaign_id": campaign_id}, {"campaign_type": campaign_type}
        return self.listing(
            filters,
            endpoint=CAMPAIGN_SECURITY_TESTS,
            scope=scope,
            count=psts_count,
            recount=recount(
                PHISHING_CAMPAIGNS, scope, lambda record: count_in(record, "psts_count"), filters
            ),
            **options,
        )


class SecurityTestsNoun(Noun[SecurityTest]):
    """Phishing security tests (PSTs) and their recipients."""

    endpoint = SECURITY_TESTS

    def list(
        self, *, campaign_type: CampaignType | None = None, **options: Unpack[ListOptions]
    ) -> Listing[SecurityTest]:
        """List security tests; one request for each 500 and a few more (see ``Listing``).

        Args:
            campaign_type: ``callback`` lists tests of callback campaigns, which the plain list
                leaves out.
            **options: ``per_page``, ``max_items``, ``prefetch``, ``verify``, ``start``: see
                ``ListOptions``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return self.listing({"campaign_type": campaign_type}, **options)

    async def get(
        self, pst_id: int | str, *, campaign_type: CampaignType | None = None
    ) -> SecurityTest:
        """Get one security test. One request.

        Args:
            pst_id: The test.
            campaign_type: ``callback`` if it is a test of a callback campaign.

        Raises:
            NotFoundError: There is no such test.
            KB4Error: The request failed otherwise.
        """
        return await self.one({"pst_id": pst_id}, {"campaign_type": campaign_type})

    def recipients(
        self,
        pst_id: int | str,
        *,
        campaign_type: CampaignType | None = None,
        users_count: int | None = None,
        campaign_id: int | str | None = None,
        **options: Unpack[ListOptions],
    ) -> Listing[Recipient]:
        """List a test's recipients: who got it, and when they did what.

        Args:
            pst_id: The test.
            campaign_type: ``callback`` if it is a test of a callback campaign.
            users_count: The ``users_count`` that the test's campaign gives in ``psts``, or the
                test's ``scheduled_count``: with it the listing costs one request for each 500
                recipients and nothing more.
            campaign_id: The campaign that gives ``users_count``: if fewer recipients come it is
                asked again, and if the count changed the recipients are read again.
            **options: As for ``list``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        filters = {"campaign_type": campaign_type}
        again = None
        if campaign_id is not None:
            values = {"campaign_id": campaign_id}
            again = recount(PHISHING_CAMPAIGNS, values, partial(users_count_of, pst_id), filters)
        return self.listing(
            filters,
            endpoint=RECIPIENTS,
            scope={"pst_id": pst_id},
            count=users_count,
            recount=again,
            **options,
        )

    async def recipient(
        self,
        pst_id: int | str,
        recipient_id: int | str,
        *,
        campaign_type: CampaignType | None = None,
    ) -> Recipient:
        """Get one recipient of a test. One request.

        Args:
            pst_id: The test.
            recipient_id: The recipient.
            campaign_type: ``callback`` if it is a test of a callback campaign.

        Raises:
            NotFoundError: There is no such recipient.
            KB4Error: The request failed otherwise.
        """
        values = {"pst_id": pst_id, "recipient_id": recipient_id}
        filters = {"campaign_type": campaign_type}
        page = await self.one_page(values, filters, endpoint=RECIPIENTS)
        recipient: Recipient = page.items[0]  # type: ignore[assignment]  # another row's records
        return recipient

    def recipients_each(
        self,
        tests: Parents[SecurityTest | SecurityTestSummary] | None = None,
        *,
        campaign_type: CampaignType | None = None,
        on_error: OnError = "raise",
        **options: Unpack[EachOptions],
    ) -> FanOut[Recipient]:
        """List the recipients of many tests concurrently; each record has its ``pst_id``.

        Requests: those of ``recipients`` for each test, and the listing of tests if none are given.

        Args:
            tests: Test ids, or test records (whose ``users_count`` or ``scheduled_count`` saves
                requests); None for every test of the account that is of ``campaign_type``.
            campaign_type: ``callback`` if these are tests of callback campaigns.
            on_error: ``raise`` ends with the first test's error; ``skip`` goes on and keeps it in
                the iterator's ``failures``.
            **options: ``per_page``, ``prefetch``, ``verify``: see ``EachOptions``.

        Raises:
            ConfigurationError: A value the API does not know.
        """
        return children_of(
            self.source,
            tests,
            lambda: self.list(campaign_type=campaign_type),
            lambda pst_id, count: self.recipients(
                pst_id, campaign_type=campaign_type, users_count=count, **options
            ),
            what="test",
            key="pst_id",
            counts=("users_count", "scheduled_count"),
            on_error=on_error,
        )


def users_count_of(pst_id: int | str, campaign: Mapping[str, Any]) -> int | None:
    """The ``users_count`` that a campaign gives for one of its tests."""
    key = plain_key(pst_id)
    return next((count for test, count in users_counts(campaign) if test == key), None)


class Phishing:
    """Phishing: ``kb.phishing.campaigns`` and ``kb.phishing.security_tests``."""

    def __init__(self, source: Source) -> None:
        self.campaigns = PhishingCampaignsNoun(source)
        self.security_tests = SecurityTestsNoun(source)
