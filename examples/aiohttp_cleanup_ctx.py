"""An aiohttp service that lends its own ``ClientSession`` to one client.

Run it against a simulated account (``kb4 simulate`` prints the two variables it needs)::

    python -m examples.aiohttp_cleanup_ctx

The session stays the service's: the client never closes it. Give its connector room for the
client's ``max_concurrency``, or requests wait inside aiohttp. The session's own middlewares do not
run on the client's requests.
"""

import os
from collections.abc import AsyncIterator
from contextlib import aclosing

import aiohttp
from aiohttp import web

from kb4_async import KB4Error, NotFoundError, ReportingClient

IN_FLIGHT = 16

KB = web.AppKey("KB", ReportingClient)


async def kb_context(app: web.Application) -> AsyncIterator[None]:
    """Open session and client at start-up; close them in the opposite order at cleanup."""
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        ReportingClient(
            region=os.environ.get("KB4_REGION"),
            base_url=os.environ.get("KB4_BASE_URL"),
            session=session,
            max_concurrency=IN_FLIGHT,
        ) as kb,
    ):
        app[KB] = kb
        yield


def group_id(request: web.Request) -> int:
    """The group of the path, which holds digits alone."""
    return int(request.match_info["group_id"])


async def one_group(request: web.Request) -> web.Response:
    """``GET /groups/789``."""
    try:
        group = await request.app[KB].groups.get(group_id(request))
    except NotFoundError:
        raise web.HTTPNotFound(text="no such group") from None
    except KB4Error as error:
        raise web.HTTPBadGateway(text=str(error)) from error
    return web.json_response(group)


async def group_members(request: web.Request) -> web.StreamResponse:
    """``GET /groups/789/members``: JSON lines while pages arrive.

    If the browser goes away, the next write raises, and ``aclosing`` ends the fetching. If the
    listing fails, the connection is cut: a partial answer never looks like a whole one.
    """
    listing = request.app[KB].groups.members(group_id(request))
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    async with aclosing(listing.pages(form="raw")) as pages:
        async for page in pages:
            if not response.prepared:
                await response.prepare(request)
            if page:
                await response.write(page.json_lines())
    await response.write_eof()
    return response


def make_app() -> web.Application:
    """The service."""
    app = web.Application()
    app.cleanup_ctx.append(kb_context)
    app.add_routes(
        [
            web.get(r"/groups/{group_id:\d+}", one_group),
            web.get(r"/groups/{group_id:\d+}/members", group_members),
        ]
    )
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1", port=8000)
