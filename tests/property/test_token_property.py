"""Whatever a token holds comes back as it was, and nothing else is taken for a token."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.cursors import Cursor
from kb4_async.protocol.drift import Edge
from kb4_async.protocol.token import Identity, Place, read_token, write_token

numbers = st.integers(0, 2**40) | st.integers(0, 2**200)
keys = st.none() | st.integers(-(2**200), 2**200) | st.text()
texts = st.text(max_size=20)
identities = st.builds(
    Identity,
    resource=texts,
    scope=st.dictionaries(texts, st.integers(0, 2**100) | texts, max_size=2),
    query=st.dictionaries(texts, texts, max_size=3),
    per_page=st.integers(1, 500),
)


def edges_of(ascending: set[int]) -> list[Edge]:
    """Pair ascending keys; a page of one record begins and ends with the same."""
    flat = sorted(ascending)
    if len(flat) % 2:
        flat.append(flat[-1])
    return list(zip(flat[::2], flat[1::2], strict=True))


edges = st.sets(st.integers(-(2**64), 2**64) | st.integers(0, 2**200), max_size=30).map(edges_of)


@st.composite
def places(draw: st.DrawFn) -> Place:
    known = draw(edges)
    anchor = draw(st.none() | st.builds(Cursor, st.text(), st.booleans()))
    return Place(
        number=draw(st.integers(1, 10**6)),
        mode="number" if anchor is None else "cursor",
        anchor=anchor,
        blind=draw(st.booleans()),
        cut=draw(st.integers(0, 500)),
        lo=draw(numbers),
        hi=draw(st.none() | numbers),
        full_seen=draw(st.booleans()),
        size=draw(st.integers(0, 500)),
        rows=draw(numbers),
        edges=known,
        edges_known=len(known),
        moved=draw(st.booleans()),
        rereading=draw(st.booleans()),
        last=draw(st.none() | st.tuples(keys, keys, st.integers(1, 500))),
        end_reason=draw(
            st.sampled_from([None, "count_met", "short_page", "cursor_absent", "max_items"])
        ),
    )


@settings(deadline=None, max_examples=300)
@given(identities, places())
def test_a_token_comes_back_as_it_was(identity: Identity, place: Place) -> None:
    assert read_token(write_token(identity, place), identity) == place


@settings(deadline=None, max_examples=300)
@given(st.text() | st.from_regex(r"kb4\.[A-Za-z0-9_-]*", fullmatch=True))
def test_nothing_else_is_taken_for_a_token(text: str) -> None:
    identity = Identity("users", {}, {}, 500)
    try:
        read_token(text, identity)
    except ConfigurationError as error:
        assert "not a resume token" in str(error)  # noqa: PT017  # which of two refusals it is
    else:
        raise AssertionError(text)
