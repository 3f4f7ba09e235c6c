import copy
import json
import pickle
import traceback

import pytest

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.credential import Secret, check_secret

KEY = "eyJhbGciOiJIUzUxMiJ9.c2VjcmV0.c2lnbmF0dXJl_-"


def check(text: str | None) -> Secret:
    return check_secret(text, what="Reporting API key", sources="KB4_API_KEY")


@pytest.mark.parametrize("text", [KEY, f"  {KEY}\n", f"\r\n\t{KEY} \r\n"])
def test_a_key_is_taken_without_the_white_space_around_it(text: str) -> None:
    assert check(text).text == KEY


@pytest.mark.parametrize("text", [None, "", " ", "\n\t "])
def test_a_missing_key_is_refused_and_its_source_named(text: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"No Reporting API key.*KB4_API_KEY"):
        check(text)


@pytest.mark.parametrize(
    "text",
    [
        "hunter2\nX-Evil: 1",
        "hunter2\r\nX-Evil: 1",
        "hunter2 hunter2",
        "hunter2\thunter2",
        "hunter2\u00e9",
        "hunter2\u2028",
        "hunter2\ufeffhunter2",
        "hunter2\x00",
        "hunter2\x7f",
        "\u201chunter2\u201d",
    ],
)
def test_what_no_header_can_carry_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check(text)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value, chain=True))


def test_a_byte_order_mark_that_an_editor_put_before_a_key_is_dropped() -> None:
    assert check("\ufeffhunter2\r\n").text == "hunter2"


@pytest.mark.parametrize(
    "shown",
    [repr, str, "{}".format, "{!r:>60}".format, "%s".__mod__, lambda s: f"{[s]} { ({'key': s}) }"],
)
def test_a_secret_never_shows_its_text(shown: object) -> None:
    assert callable(shown)
    text = shown(check(KEY))
    assert KEY not in text
    assert KEY[:8] not in text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_does_not_pickle(protocol: int) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps({"key": check(KEY)}, protocol)


def test_a_secret_is_neither_copied_nor_written_as_json() -> None:
    with pytest.raises(TypeError):
        copy.deepcopy(check(KEY))
    with pytest.raises(TypeError):
        json.dumps(check(KEY))


def test_a_fingerprint_tells_keys_apart_without_telling_them() -> None:
    one, other = check(KEY), check(KEY + "x")
    assert one.fingerprint == check(KEY).fingerprint
    assert one.fingerprint != other.fingerprint
    assert len(one.fingerprint) == 16
    assert one.fingerprint not in KEY
