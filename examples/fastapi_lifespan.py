"""A FastAPI service with one client: opened at start-up, shared by requests, closed at shutdown.

Run it against a simulated account (``kb4 simulate`` prints the two variables it needs)::

    uvicorn examples.fastapi_lifespan:app

``GET /users`` streams every user as NDJSON while pages arrive. Three things keep it sound:

- A slow reader slows the fetching down: at most 16 pages (``prefetch``) are fetched ahead of it.
- When the browser goes away, the server cancels the response or drops its generator; ``aclosing``
  then ends the fetching before anything else happens.
- When the listing fails after the first bytes, the generator raises and the server cuts the
  connection: a partial answer never looks like a whole one. Errors of the first page still become
  a proper status.
"""

import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from kb4_async import (
    KB4Error,
    NotFoundError,
    Page,
    PageIterator,
    RateLimitError,
    ReportingClient,
    User,
)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Open the client in the server's event loop; close it when the server stops."""
    async with ReportingClient(
        region=os.environ.get("KB4_REGION"), base_url=os.environ.get("KB4_BASE_URL")
    ) as kb:
        yield {"kb": kb}


app = FastAPI(lifespan=lifespan)


def client(request: Request) -> ReportingClient:
    """The one client of this process."""
    kb: ReportingClient = request.state.kb
    return kb


@app.exception_handler(KB4Error)
async def explain(_: Request, error: Exception) -> JSONResponse:
    """Turn the library's errors into answers of this service. Messages hold no credential."""
    if isinstance(error, NotFoundError):
        return JSONResponse({"detail": "no such record"}, status_code=404)
    if isinstance(error, RateLimitError):
        headers = {} if error.retry_after is None else {"Retry-After": f"{error.retry_after:.0f}"}
        return JSONResponse({"detail": str(error)}, status_code=503, headers=headers)
    return JSONResponse({"detail": str(error)}, status_code=502)


@app.get("/users/{user_id}")
async def one_user(user_id: int, request: Request) -> JSONResponse:
    """One user; goes ahead of the pages of all listings."""
    return JSONResponse(dict(await client(request).users.get(user_id)))


@app.get("/users")
async def all_users(request: Request) -> StreamingResponse:
    """Every user, one JSON object a line."""
    pages = aiter(client(request).users.list().pages(form="raw"))
    try:
        first = await anext(pages)
    except BaseException:
        await pages.aclose()
        raise
    return StreamingResponse(lines(first, pages), media_type="application/x-ndjson")


async def lines(first: Page[User], pages: PageIterator[User]) -> AsyncIterator[bytes]:
    """The pages as NDJSON: the served records, one a line, without decoding them."""
    async with aclosing(pages):
        yield first.json_lines()
        async for page in pages:
            yield page.json_lines()
