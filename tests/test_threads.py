"""Parts on several threads: each done once, what goes wrong is seen, and results the same however many there are."""

import os
import threading

import numpy as np
import pytest

from refconv import threads
from refconv.algorithms import pooling
from refconv.spec import pool_spec


@pytest.fixture(params=[1, 2, 5])
def several(request, monkeypatch):
    monkeypatch.setattr(threads, "count", lambda: request.param)
    threads._pool.cache_clear()
    yield request.param
    threads._pool().shutdown()
    threads._pool.cache_clear()


@pytest.mark.parametrize("fewest", [1, 4, 100])
def test_every_part_is_done_once(several, fewest):
    done, where = [], set()

    def do(part):
        where.add(threading.current_thread())
        done.append(part)

    threads.each(do, range(23), fewest)
    threads.each(do, range(0), fewest)
    assert sorted(done) == list(range(23))
    shares = min(several, max(1, 23 // fewest)) if fewest < 23 else 1
    assert len(where) <= shares
    assert (threading.current_thread() in where) and (shares == 1) == (len(where) == 1)


@pytest.mark.parametrize("bad", [0, 9])
def test_what_a_part_raises_is_raised_when_all_are_done(several, bad):
    done = []

    def do(part):
        if part == bad:
            raise ValueError(f"part {part}")
        done.append(part)

    with pytest.raises(ValueError, match=f"part {bad}"):
        threads.each(do, range(10))
    assert several == 1 or len(done) >= 5  # the other shares


def test_numpy_warns_of_nothing_that_was_ignored(several):
    with np.errstate(all="ignore"):
        threads.each(lambda part: np.float64(part) / np.zeros(3), range(8))
    with pytest.raises(RuntimeWarning):
        threads.each(lambda part: np.float64(part) / np.zeros(3), range(8))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_child_has_threads_of_its_own(several):
    """Those of its parent are not there: to wait for one would take for ever."""
    threads.each(lambda part: None, range(8))
    child = os.fork()
    if not child:
        done = []
        threads.each(done.append, range(8))
        os._exit(len(done))
    watch = threading.Timer(20, os.kill, (child, 9))
    watch.start()
    _, status = os.waitpid(child, 0)
    watch.cancel()
    assert os.waitstatus_to_exitcode(status) == 8


@pytest.mark.parametrize(("said", "expected"), [("2", 2), ("2,1", 2), ("", 3), ("0", 3), ("many", 3)])
def test_as_many_as_products_take(said, expected, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 4, 5}, raising=False)
    assert threads.count.__wrapped__() == expected


def test_pooling_gives_the_same_on_any_number_of_threads(several, monkeypatch):
    monkeypatch.setattr(pooling, "_BLOCK", 500)
    x = np.random.default_rng(0).integers(-9, 9, (3, 5, 9, 10)).astype("float32")
    x[0, 0, 0, 0] = np.nan
    spec = pool_spec(2, 3, 2, 1)
    plain = pooling.max_windows(x, spec), pooling.avg_windows(x, spec)
    with np.errstate(all="ignore"):
        assert np.array_equal(pooling.max_separable(x, spec), plain[0], equal_nan=True)
        assert np.array_equal(pooling.max_doubling(x, spec), plain[0], equal_nan=True)
        assert np.array_equal(pooling.avg_separable(x, spec), plain[1], equal_nan=True)
        g = plain[1] * 0 + 2
        taps = pooling.max_backward_taps(g, x, spec)
        assert np.array_equal(pooling.max_backward_argmax(g, x, spec), taps, equal_nan=True)
        spread = pooling.avg_backward_convolution(g, x, spec)
        assert np.array_equal(pooling.avg_backward_spread(g, x, spec), spread, equal_nan=True)
