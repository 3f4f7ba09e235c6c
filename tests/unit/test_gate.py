import pytest

from kb4_async.protocol.gate import Gate


def refuse(
    gate: Gate,
    granted: float,
    now: float,
    *,
    probe: bool = False,
    retry_after: float | None = None,
) -> float | None:
    """A 429 without jitter."""
    return gate.refused(granted, now, probe=probe, chance=0.0, retry_after=retry_after)


def paused(now: float = 10.0) -> Gate:
    """A gate at the start of its first pause, of two seconds."""
    gate = Gate()
    assert not gate.grant()
    assert refuse(gate, now - 1.0, now) == 2.0
    return gate


def probing() -> Gate:
    """A gate whose probe left at 12."""
    gate = paused()
    assert gate.wait(12.0) == 0.0
    assert gate.grant()
    return gate


def test_an_open_gate_lets_everybody_through() -> None:
    gate = Gate()
    assert gate.wait(0.0) == 0.0
    assert not gate.grant()
    assert not gate.grant()
    assert gate.wait(1e9) == 0.0


def test_a_429_pauses_everybody_until_the_pause_is_over() -> None:
    gate = paused(10.0)
    assert gate.wait(10.0) == 2.0
    assert gate.wait(11.5) == 0.5
    assert gate.wait(12.0) == 0.0
    assert gate.wait(50.0) == 0.0


@pytest.mark.parametrize("granted", [0.0, 9.0, 9.999, 10.0])
@pytest.mark.parametrize("now", [10.0, 11.0, 12.5])
def test_429s_to_requests_sent_before_the_pause_belong_to_it(granted: float, now: float) -> None:
    gate = paused(10.0)
    assert refuse(gate, granted, now) is None
    assert gate.wait(11.0) == 1.0
    assert gate.wait(12.0) == 0.0


def test_late_429s_do_not_lengthen_the_next_pause() -> None:
    gate = paused(10.0)
    for _ in range(30):
        refuse(gate, 9.5, 11.0)
    assert gate.grant()
    assert refuse(gate, 12.0, 13.0, probe=True) == 4.0


def test_only_one_probe_leaves_and_the_others_wait_for_its_answer() -> None:
    gate = probing()
    assert gate.wait(12.0) is None
    assert gate.wait(1000.0) is None


def test_the_probes_own_answer_opens_the_gate() -> None:
    gate = probing()
    gate.probe_answered(13.0)
    assert gate.wait(13.0) == 0.0
    assert not gate.grant()
    assert gate.wait(13.0) == 0.0


def test_a_refused_probe_doubles_the_pause_up_to_its_bound() -> None:
    gate = paused(10.0)
    now, lengths = 12.0, []
    for _ in range(10):
        assert gate.wait(now) == 0.0
        assert gate.grant()
        length = refuse(gate, now, now + 1.0, probe=True)
        assert length is not None
        lengths.append(length)
        assert gate.wait(now + 1.0) == length
        now += 1.0 + length
    assert lengths == [4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_a_late_429_does_not_open_or_close_while_the_probe_is_on_its_way() -> None:
    gate = probing()
    assert refuse(gate, 9.0, 12.5) is None
    assert gate.wait(12.5) is None
    gate.probe_answered(13.0)
    # Sent before the pause, refused after it: it still belongs to it.
    assert refuse(gate, 9.5, 13.5) is None
    assert gate.wait(13.5) == 0.0


def test_a_cancelled_probe_hands_over_at_once() -> None:
    gate = probing()
    gate.probe_lost(12.5)
    assert gate.wait(12.5) == 0.0
    assert gate.grant(), "the next in line is the probe"
    assert gate.wait(12.5) is None


def test_a_failed_probe_hands_over_after_a_back_off_step() -> None:
    gate = probing()
    gate.probe_lost(12.5, 0.7)
    assert gate.wait(12.5) == pytest.approx(0.7)
    assert gate.wait(13.2) == 0.0
    assert gate.grant()


def test_a_probe_cancelled_while_waiting_costs_nothing() -> None:
    # It was never granted, so the next one that comes is the probe.
    gate = paused(10.0)
    assert gate.wait(11.0) == 1.0
    assert gate.wait(99.0) == 0.0
    assert gate.grant()


def test_a_pause_soon_after_opening_goes_on_doubling() -> None:
    gate = probing()
    gate.probe_answered(13.0)
    assert not gate.grant()
    assert refuse(gate, 13.1, 13.2) == 4.0


def test_a_pause_long_after_opening_begins_anew() -> None:
    gate = probing()
    gate.probe_answered(13.0)
    assert refuse(gate, 1000.0, 1001.0) == 2.0


def test_requests_sent_after_an_opening_make_one_new_pause_together() -> None:
    gate = probing()
    gate.probe_answered(13.0)
    first = refuse(gate, 1000.0, 1001.0)
    assert first is not None
    assert [refuse(gate, 1000.0 + i / 100, 1001.0 + i / 100) for i in range(1, 20)] == [None] * 19


@pytest.mark.parametrize("asked", [[60.0, 30.0, 45.0], [30.0, 60.0, 45.0], [45.0, 30.0, 60.0]])
def test_of_several_retry_afters_the_longest_is_obeyed(asked: list[float]) -> None:
    gate = Gate()
    for seconds in asked:
        refuse(gate, 9.0, 10.0, retry_after=seconds)
    assert gate.wait(10.0) == 60.0


def test_a_retry_after_counts_from_its_own_answer() -> None:
    gate = Gate()
    assert refuse(gate, 9.0, 10.0, retry_after=30.0) == 30.0
    assert refuse(gate, 9.0, 15.0, retry_after=30.0) is None
    assert gate.wait(15.0) == 30.0


def test_a_late_retry_after_lengthens_a_pause_of_our_own() -> None:
    gate = paused(10.0)
    assert refuse(gate, 9.0, 10.5, retry_after=100.0) is None
    assert gate.wait(10.5) == 100.0


def test_a_retry_after_that_comes_while_the_probe_is_out_holds_if_the_probe_is_refused() -> None:
    # Design 5: a 429 is never retried before Retry-After.
    gate = probing()
    assert refuse(gate, 9.0, 12.5, retry_after=100.0) is None
    refuse(gate, 12.0, 13.0, probe=True)
    assert gate.wait(13.0) == pytest.approx(99.5)


def test_a_retry_after_that_comes_while_the_probe_is_out_holds_if_the_probe_is_lost() -> None:
    gate = probing()
    assert refuse(gate, 9.0, 12.5, retry_after=100.0) is None
    gate.probe_lost(13.0)
    assert gate.wait(13.0) == pytest.approx(99.5)


def test_the_probe_obeys_its_own_retry_after() -> None:
    gate = probing()
    assert refuse(gate, 12.0, 13.0, probe=True, retry_after=500.0) == 500.0
    assert gate.wait(13.0) == 500.0
