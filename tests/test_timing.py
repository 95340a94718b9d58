"""Ratios of times: rounds are paired, intervals hold what they say, nothing is timed here but the order of calls."""

import numpy as np
import pytest

from refconv import timing
from refconv.timing import ROUNDS, interleaved, ratio


def test_the_interval_is_that_of_order_statistics():
    """For eleven rounds the second smallest and largest: 1 - 2 (1 + 11) / 2^11 = 98.8 %; the third gives 93.5 %."""
    found = ratio(np.arange(1.0, 12.0), np.ones(11))
    assert (found.median, found.low, found.high) == (6.0, 2.0, 10.0)
    wider = ratio(np.arange(1.0, 12.0), np.ones(11), confidence=0.99)
    assert (wider.low, wider.high) == (1.0, 11.0)


def test_too_few_rounds_have_no_interval():
    """Five rounds enclose the median with 1 - 2 / 2^5 = 94 % at most."""
    assert ratio(np.ones(6), np.ones(6)).low == 1
    with pytest.raises(ValueError, match="5 rounds are too few"):
        ratio(np.ones(5), np.ones(5))


def test_intervals_hold_the_median_as_often_as_they_say():
    """On skewed times with slow phases that both calls share: of 2 000 intervals at least 95 % hold the ratio 1.5."""
    rng = np.random.default_rng(7)
    noise = rng.lognormal(0, 0.2, (2, 2000, ROUNDS))
    phase = rng.choice([1.0, 3.0], (2000, ROUNDS))
    found = [ratio(1.5 * a, b) for a, b in zip(noise[0] * phase, noise[1] * phase, strict=True)]
    held = np.mean([r.low <= 1.5 <= r.high for r in found])
    assert held >= 0.95
    # without pairing the phases would widen it
    paired = np.median([r.high / r.low for r in found])
    unpaired = np.median(
        [
            (r := ratio(1.5 * a, rng.permutation(b))).high / r.low
            for a, b in zip(noise[0] * phase, noise[1] * phase, strict=True)
        ]
    )
    assert paired < 0.8 * unpaired


def test_every_round_times_every_call_and_begins_with_another():
    """Long calls once a round, after one untimed call and one that tells how long it takes."""
    order = []

    def call(name):
        order.append(name)
        total = 0.0
        for i in range(60_000):  # over a millisecond on any machine of this decade
            total += i
        return total

    times = interleaved({name: lambda name=name: call(name) for name in "abc"}, rounds=4)
    assert "".join(order[-12:]) == "abcbcacababc"
    assert all(t.shape == (4,) and (t > 0).all() for t in times.values())


def test_short_calls_are_repeated_within_a_sample(monkeypatch):
    """And their time is that of one call: by a clock on which a call takes a sixteenth of a millisecond."""
    clock = [0.0]

    def call():
        clock[0] += 2**-14

    monkeypatch.setattr(timing, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(timing, "ENOUGH", 2**-9)
    times = interleaved({"a": call}, rounds=3)["a"]
    assert clock[0] * 2**14 == 1 + 1 + 3 * 32
    assert times.tolist() == [2**-14] * 3


def test_each_call_is_made_until_the_threads_of_the_one_before_have_settled(monkeypatch):
    """By a clock on which a call takes a second."""
    order = []
    monkeypatch.setattr(timing, "perf_counter", lambda: len(order))
    monkeypatch.setattr(timing, "_repeats", lambda call: 1)
    interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=2, settle=1.5)
    assert order == [*"aaa", *"bbb", *"bbb", *"aaa"]
    order.clear()
    interleaved({"a": lambda: order.append("a")}, rounds=2)
    assert order == ["a", "a"]
