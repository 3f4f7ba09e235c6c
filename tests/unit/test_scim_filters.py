"""The filter that looks users up."""

import pytest

from kb4_async.protocol.scim.filters import equals


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a@example.com", 'userName eq "a@example.com"'),
        ("a+b@example.com", 'userName eq "a+b@example.com"'),
        ("o'brien é 🙂", 'userName eq "o\'brien é 🙂"'),
        ("", 'userName eq ""'),
        ('a" or userName pr or "', None),
        ("a\\", None),
        ("a\nb", None),
        ("a\x00", None),
        ("\u202eevil", None),
        ("\ud83d", None),
    ],
)
def test_a_value_that_servers_read_differently_is_not_filtered_for(
    value: str, text: str | None
) -> None:
    assert equals("userName", value) == text
