import pytest

from kb4_async.errors import ConfigurationError
from kb4_async.protocol.address import is_loopback, reporting_address


@pytest.mark.parametrize("region", ["us", "eu", "ca", "uk", "de"])
def test_a_region_has_its_own_host(region: str) -> None:
    address = reporting_address(region, None)
    assert address.base_url == f"https://{region}.api.knowbe4.com/v1"
    assert address.origin == f"https://{region}.api.knowbe4.com"
    assert address.region == region


def test_without_either_the_region_is_us() -> None:
    assert reporting_address(None, None) == reporting_address("us", None)


def test_a_region_is_read_whatever_its_case() -> None:
    assert reporting_address(" EU ", None).region == "eu"


@pytest.mark.parametrize("region", ["", "fr", "us.evil.example", "training"])
def test_an_unknown_region_is_refused_and_the_known_ones_named(region: str) -> None:
    with pytest.raises(ConfigurationError, match="us, eu, ca, uk, de"):
        reporting_address(region, None)


def test_both_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        reporting_address("eu", "https://proxy.example/v1")


@pytest.mark.parametrize(
    ("text", "base_url", "origin"),
    [
        ("https://h.example", "https://h.example", "https://h.example"),
        ("https://h.example/v1/", "https://h.example/v1", "https://h.example"),
        ("https://h.example/kb4/v1", "https://h.example/kb4/v1", "https://h.example"),
        ("  https://h.example/v1 ", "https://h.example/v1", "https://h.example"),
        ("https://h.example:8443/v1", "https://h.example:8443/v1", "https://h.example:8443"),
        ("HTTPS://H.Example/V1", "https://h.example/V1", "https://h.example"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1", "http://127.0.0.1:8080"),
        ("http://localhost:80/v1", "http://localhost:80/v1", "http://localhost:80"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1", "http://[::1]:8080"),
        ("https://[2001:db8::1]/v1", "https://[2001:db8::1]/v1", "https://[2001:db8::1]"),
    ],
)
def test_a_base_url_replaces_the_whole_address(text: str, base_url: str, origin: str) -> None:
    address = reporting_address(None, text)
    assert (address.base_url, address.origin, address.region) == (base_url, origin, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h.example/v1",
        "//h.example/v1",
        "ftp://h.example/v1",
        "https://",
        "https:///v1",
        "file:///x",
    ],
)
def test_what_is_no_web_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="scheme and a host"):
        reporting_address(None, text)


@pytest.mark.parametrize("text", ["https://h:99999/v1", "https://h:x/v1", "https://[::1/v1"])
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        reporting_address(None, text)


@pytest.mark.parametrize(
    "text",
    [
        "http://us.api.knowbe4.com/v1",
        "http://10.0.0.1/v1",
        "http://[2001:db8::1]/v1",
        "http://localhost.evil.example/v1",
        "http://127.0.0.1.evil.example/v1",
    ],
)
def test_the_key_leaves_this_machine_only_encrypted(text: str) -> None:
    with pytest.raises(ConfigurationError, match="unencrypted"):
        reporting_address(None, text)


@pytest.mark.parametrize(
    "text",
    [
        "https://user@h.example/v1",
        "https://user:hunter2@h.example/v1",
        "https://:hunter2@h.example/v1",
        "https://h.example/v1?key=hunter2",
        "https://h.example/v1#hunter2",
    ],
)
def test_a_url_with_credentials_or_query_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="plain address") as caught:
        reporting_address(None, text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://user:hunter2@h.example/v1",
        "https://user:hunter2@h.example:x/v1",
        "user:hunter2@h.example",
    ],
)
def test_no_refusal_shows_a_password(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        reporting_address(None, text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("0.0.0.0", False),  # noqa: S104  # an address that is refused
        ("192.168.0.1", False),
        ("::ffff:8.8.8.8", False),
        ("example", False),
    ],
)
def test_loopback_is_this_machine_alone(host: str, local: bool) -> None:
    assert is_loopback(host) is local
