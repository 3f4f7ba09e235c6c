"""Parents whose child listings are read side by side: groups and their members, tests and their
recipients."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.codec import Key, plain_key
from kb4_async.runtime.fanout import FanOut, OnError
from kb4_async.runtime.listing import Listing
from kb4_async.runtime.source import Source

R = TypeVar("R")
P = TypeVar("P")

#: Parents: ids, or records, whose counts save requests.
Parents = Iterable[int | str | P] | AsyncIterable[int | str | P]


class Child(Protocol[R]):
    """Makes the listing of one parent."""

    def __call__(self, parent_id: int | str, count: int | None, /) -> Listing[R]:
        """Make it."""
        ...


def children_of(
    source: Source,
    parents: Parents[Any] | None,
    everyone: Callable[[], Listing[Any]],
    child: Child[R],
    *,
    what: str,
    key: str,
    counts: tuple[str, ...],
    on_error: OnError,
) -> FanOut[R]:
    """Make the listings of many parents as one.

    Args:
        source: The client.
        parents: Ids or records; None for all.
        everyone: Lists all parents.
        child: Makes the listing of one.
        what: What a parent is called: ``group``.
        key: Key of a parent's record.
        counts: Keys of a parent's record that count its children, best first.
        on_error: ``raise`` or ``skip``.

    Raises:
        ConfigurationError: The parents are one id, or ``on_error`` is something else.
    """
    if on_error not in {"raise", "skip"}:
        msg = f"on_error is 'raise' or 'skip', not {on_error!r}."
        raise ConfigurationError(msg)
    if isinstance(parents, str | Mapping):
        msg = f"{what}s is several {what}s, as a list: give one as [it]."
        raise ConfigurationError(msg)

    async def children() -> AsyncGenerator[Listing[R], None]:
        async with aclosing(each(parents, everyone)) as every:
            async for parent in every:
                yield child(*known(parent, what, key, counts))

    return FanOut(source, children, on_error)


async def each(
    parents: Parents[Any] | None, everyone: Callable[[], Listing[Any]]
) -> AsyncGenerator[Any, None]:
    """The parents given, or all."""
    if parents is None:
        async with aclosing(aiter(everyone())) as records:
            async for record in records:
                yield record
    elif isinstance(parents, AsyncIterable):
        async for parent in parents:
            yield parent
    else:
        for parent in parents:
            yield parent


def known(
    parent: object, what: str, key: str, counts: tuple[str, ...]
) -> tuple[int | str, int | None]:
    """A parent's id, and how many children it has where its record says so.

    Raises:
        ConfigurationError: It is neither an id nor a record.
    """
    if isinstance(parent, int | str):
        return parent, None
    if not isinstance(parent, Mapping) or key not in parent:
        msg = f"A {what} is its id or its record, not {type(parent).__name__}."
        raise ConfigurationError(msg)
    found = (count_in(parent, name) for name in counts)
    return parent[key], next((count for count in found if count is not None), None)


def users_counts(campaign: Mapping[str, Any]) -> Iterator[tuple[Key, int | None]]:
    """The tests that a phishing campaign lists, and the ``users_count`` of each."""
    tests = campaign.get("psts")
    for test in tests if isinstance(tests, list) else []:
        if isinstance(test, Mapping):
            yield plain_key(test.get("pst_id")), count_in(test, "users_count")


def count_in(record: Mapping[str, Any], name: str) -> int | None:
    """A count that a record gives, if it is one."""
    count = plain_key(record.get(name))
    return count if isinstance(count, int) and count >= 0 else None
