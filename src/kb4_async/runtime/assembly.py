"""Pages between the wire and the consumer: as they came, and as they are handed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from kb4_async.protocol import codec, token
from kb4_async.protocol.codec import Key
from kb4_async.protocol.endpoints import Endpoint
from kb4_async.protocol.page import Content, Page, choose, complete
from kb4_async.protocol.reader import Reader
from kb4_async.runtime.pool import Place
from kb4_async.runtime.source import Spec

#: What the consumer wants of a page, and so what is made of it when its turn comes.
Form = Literal["items", "raw"]


class Received(NamedTuple):
    """What was read of a page when it came.

    Attributes:
        array: The JSON array of its records.
        cursor: ``pagination.next_cursor`` of an envelope.
        keys: The records' keys; None where they are read in the page's turn.
    """

    array: bytes
    cursor: object
    keys: Sequence[Key] | None


@dataclass(slots=True)
class Held:
    """A page that waits for its turn, as bytes.

    Attributes:
        array: The JSON array of its records.
        keys: Their keys, where they were read when it came.
        request_id: The server's ``X-Request-Id``.
        attempts: Attempts it took.
        place: Its place in the client's page pool; None for a head page or kept probe.
    """

    array: bytes
    keys: Sequence[Key] | None
    request_id: str | None
    attempts: int
    place: Place | None


def read_page(body: bytes, endpoint: Endpoint, *, whole: bool) -> Received:
    """Read a body's frame; or whole, so that its array is proven to be JSON.

    Raises:
        DecodeError: It is no answer of that endpoint.
    """
    array, cursor = codec.read_frame(body, endpoint.keys)
    if not whole:
        # That there are none is seen without reading them.
        return Received(array, cursor, [] if codec.is_empty(array) else None)
    codec.check_text(array)
    return Received(array, cursor, codec.key_reader(*endpoint.keys)(array))


def open_page(held: Held, endpoint: Endpoint, form: Form) -> tuple[Content, Sequence[Key]]:
    """Decode or split a page, and read its keys.

    Raises:
        DecodeError: It is not valid JSON.
    """
    array, keys = held.array, held.keys
    if form == "raw":
        content = Content(array, raw=codec.split(array))
        return content, codec.key_reader(*endpoint.keys)(array) if keys is None else keys
    items = codec.items_of(array)
    return Content(array, items=items), codec.keys_of(items, endpoint.keys)


def make_page(
    spec: Spec,
    number: int,
    content: Content,
    held: Held,
    places: tuple[token.Place, token.Place],
) -> Page[Any]:
    """Make a page that is handed out; ``places`` are before and behind it."""
    if content.items is not None:
        content.items = list(choose(content.items, content.keep))
        complete(content.items, spec.endpoint, spec.scope)
    elif content.raw is not None:
        content.raw = choose(content.raw, content.keep)
    return Page(
        resource=spec.endpoint.resource,
        scope=spec.scope,
        number=number,
        end_reason=None,
        request_id=held.request_id,
        attempts=held.attempts,
        endpoint=spec.endpoint,
        content=content,
        identity=spec.identity,
        place=places[0],
        next_place=places[1],
    )


def make_last_page(spec: Spec, machine: Reader) -> Page[Any]:
    """Make the page that ends every complete listing."""
    done = machine.done()
    return Page(
        resource=spec.endpoint.resource,
        scope=spec.scope,
        number=machine.position,
        end_reason=machine.end_reason,
        request_id=None,
        attempts=0,
        endpoint=spec.endpoint,
        content=Content(),
        identity=spec.identity,
        place=done,
        next_place=done,
        expected=machine.expected,
    )


def release(held: Held) -> None:
    """Give a page's place in the pool back."""
    if held.place is not None:
        held.place.give_back()
