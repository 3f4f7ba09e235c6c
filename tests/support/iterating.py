"""Taking what an iterator gives, also when it ends badly."""

from collections.abc import AsyncIterable
from typing import Any


async def drain(source: AsyncIterable[Any], into: list[Any] | None = None) -> None:
    """Take everything; what came before an error is in the list."""
    async for each in source:
        if into is not None:
            into.append(each)
