from hypothesis import given, settings
from hypothesis import strategies as st

from kb4_async.testing import LoggedRequest, RequestLog

# A busy machine is no defect.
unhurried = settings(deadline=None)


def entry(
    number: int,
    arrived: float,
    *,
    path: str = "users",
    key: str = "k",
    answered: float | None = None,
    **query: str,
) -> LoggedRequest:
    return LoggedRequest(
        number, arrived, "GET", path, query, {}, key, 1, status=200, answered=answered
    )


@unhurried
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("ab")), max_size=60), st.integers(1, 40)
)
def test_the_worst_window_is_what_brute_force_finds(
    arrivals: list[tuple[int, str]], eighths: int
) -> None:
    seconds = eighths / 8
    log = RequestLog()
    now = 0.0
    seen: dict[str, list[float]] = {"a": [], "b": []}
    for number, (gap, key) in enumerate(arrivals):
        now += gap / 8
        seen[key].append(now)
        log.add(entry(number, now, key=key))
    worst = max(
        (
            sum(end - seconds < each <= end for each in stamps)
            for stamps in seen.values()
            for end in stamps
        ),
        default=0,
    )
    assert log.worst_window(seconds) == worst
    assert max(log.worst_window(seconds, key="a"), log.worst_window(seconds, key="b")) == worst


def test_requests_are_found_by_the_end_of_their_path() -> None:
    log = RequestLog()
    for number, path in enumerate(
        ["users", "groups/7/members", "training/campaigns", "superusers"]
    ):
        log.add(entry(number, number, path=path, page=str(number)))
    assert [each.number for each in log.requests("users")] == [0]
    assert [each.number for each in log.requests("members")] == [1]
    assert [each.number for each in log.requests("groups/*/members")] == [1]
    assert [each.number for each in log.requests("campaigns")] == [2]
    assert [each.number for each in log.requests(where=lambda each: each.page == 3)] == [3]
    assert log.requests(status=500) == []
    assert entry(0, 0.0, page="x").page is None
    assert entry(0, 0.0, page="1").cursor is None
    assert entry(0, 0.0, cursor="").cursor == ""
    assert entry(0, 0.0, cursor="b64").cursor == "b64"


def test_most_in_flight() -> None:
    log = RequestLog()
    for number, (begin, end) in enumerate([(0, 2), (1, 3), (2, 4), (9, None)]):
        log.add(entry(number, begin, answered=end))
    assert log.most_in_flight() == 2
    log.clear()
    assert log.most_in_flight() == len(log) == 0


def test_a_line_for_an_access_log() -> None:
    assert entry(0, 1.0, answered=1.25, page="2").line == "GET users?page=2 200 0 B 250 ms"
    cut = entry(0, 1.0)
    assert cut.line == "GET users unanswered"
    cut.fault = "reset"
    assert cut.line == "GET users reset"
