"""Which requests of a listing go first where all have to wait."""

from support.mocked import Answer, answering
from yarl import URL

from kb4_async import ReportingClient
from kb4_async.testing import run_virtual


def test_probes_overtake_pages_that_wait_for_a_permit() -> None:
    def page(url: URL) -> Answer:
        rows = range(3) if int(url.query["page"]) <= 40 else range(0)
        users = ",".join(f'{{"id":{int(url.query["page"]) * 10 + row}}}' for row in rows)
        return Answer(body=f"[{users}]".encode())

    async def main() -> list[int]:
        with answering(then=page) as calls:
            # First contact, four requests a second: all pages that may be fetched ahead stand in
            # line long before the end is known.
            async with ReportingClient("a-key", region="eu") as kb:
                users = await kb.users.list(per_page=3).collect()
        assert len(users) == 120
        return [int(call.url.query["page"]) for call in calls]

    asked = run_virtual(main())
    probes = [1, 2, 4, 8, 16, 32, 64, 40, 52, 46, 43, 41]
    assert [page for page in asked if page in probes][: len(probes)] == probes
    # Beside them went only what was free at once, and each eighth, so that no page starves.
    assert asked.index(41) < 2 * len(probes)
