"""Parts on several threads: each done once, what goes wrong is seen, and results the same however many there are."""

import gc
import os
import threading
import tracemalloc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from refconv import scratch, threads
from refconv.algorithms import ALGORITHMS, direct, fft, im2col, pooling, winograd
from refconv.spec import ConvSpec, pool_spec

PLAIN = ConvSpec((1, 1), ((1, 1), (1, 0)), (1, 1))
LAYERS = [
    (PLAIN, (1, 3, 40, 37), (5, 3, 3, 3)),
    (PLAIN, (5, 4, 9, 7), (6, 4, 3, 2)),
    (ConvSpec((1, 1), ((1, 1), (1, 1)), (1, 1), 4), (2, 4, 33, 36), (8, 1, 3, 3)),
    (ConvSpec((2, 1), ((2, 3), (0, 1)), (1, 2), 2), (3, 6, 17, 16), (4, 3, 4, 2)),
    (ConvSpec((1, 1), ((0, 0), (0, 0)), (1, 1)), (3, 8, 6, 5), (7, 8, 1, 1)),
    (ConvSpec((3,), ((4, 0),), (1,)), (1, 2, 300), (1, 2, 9)),
]
ABLE = [
    pytest.param(row, layer, id=f"{name}-{number}")
    for name, row in ALGORITHMS.items()
    for number, layer in enumerate(LAYERS)
    if not row.refuses("conv2d", layer[0], layer[1][2:], layer[2][2:], np.dtype("float64"))
]


@pytest.fixture(params=[1, 2, 5])
def several(request, monkeypatch):
    """So many threads, whatever the work is worth."""
    monkeypatch.setattr(threads._OPENBLAS, "threads", lambda: request.param)
    monkeypatch.setattr(threads, "WORTH", 1)
    return request.param


@pytest.mark.parametrize("number", [0, 1, 2, 23])
def test_every_part_is_done_once(several, number):
    done, where = [], set()

    def do(part):
        where.add(threading.current_thread())
        done.append(part)

    threads.each(do, range(number))
    assert sorted(done) == list(range(number))
    assert len(where) <= min(several, number)
    assert (threading.current_thread() in where) == (number > 0)


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
    assert threads._allowed.__wrapped__() == expected


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


def forget():
    """Give back what any thread keeps: each waits for the others, so that none of them does it twice."""
    scratch.forget()
    pool = threads._pool()
    all_came = threading.Barrier(len(pool.numbers) + 1, timeout=60)

    def one():
        scratch.forget()
        all_came.wait()

    for _ in pool.numbers:
        pool.tasks.put(one)
    all_came.wait()


def draw(shape, seed=0):
    return np.random.default_rng(seed).integers(-8, 9, shape).astype("float64")


@pytest.mark.parametrize(("row", "layer"), ABLE)
@pytest.mark.parametrize("block", [2000, 2**21])
def test_convolutions_give_the_same_on_any_number_of_threads(several, row, layer, block, monkeypatch):
    spec, x, w = layer
    xs, ws = draw(x), draw(w, 1)
    y = direct.conv(xs, ws, spec)
    for module in (im2col, winograd):
        monkeypatch.setattr(module, "BLOCK_BYTES", block)
    monkeypatch.setattr(im2col, "LOWERED_BYTES", block)
    monkeypatch.setattr(im2col, "LONG_ROW", 30)
    monkeypatch.setattr(winograd, "PRODUCT_SIZE", 1)
    monkeypatch.setattr(fft, "BLOCK", block)
    im2col._plan.cache_clear()
    assert np.array_equal(np.rint(row.conv(xs, ws, spec)), y)
    to_input = direct.input_grad(y, ws, spec, x[2:])
    assert np.array_equal(np.rint(row.input_grad(y, ws, spec, x[2:])), to_input)
    to_weight = direct.weight_grad(y, xs, spec, w[2:])
    assert np.array_equal(np.rint(row.weight_grad(y, xs, spec, w[2:])), to_weight)
    im2col._plan.cache_clear()


@pytest.mark.parametrize("name", ["direct", "im2col", "winograd", "fft"])
def test_calls_of_several_threads_do_not_disturb_each_other(several, name):
    """They share the threads that do their parts."""
    spec, x, w = LAYERS[0]
    operands = [(draw(x, seed), draw(w, -seed % 99)) for seed in range(6)]
    expected = [direct.conv(*pair, spec) for pair in operands]

    def ask(pair):
        return [np.rint(ALGORITHMS[name].conv(*pair, spec)) for _ in range(10)]

    with ThreadPoolExecutor(3) as users:
        for found, y in zip(users.map(ask, operands), expected, strict=True):
            assert all(np.array_equal(one, y) for one in found)


@pytest.mark.parametrize("several", [2, 5], indirect=True)
def test_the_definition_gives_the_same_on_any_number_of_threads(several, monkeypatch):
    """The others are held to it."""
    for spec, x, w in LAYERS:
        xs, ws = draw(x), draw(w, 1)
        found = []
        for number in (several, 1):
            monkeypatch.setattr(threads._OPENBLAS, "threads", lambda number=number: number)
            y = direct.conv(xs, ws, spec)
            found.append((y, direct.input_grad(y, ws, spec, x[2:]), direct.weight_grad(y, xs, spec, w[2:])))
        assert all(map(np.array_equal, *found))


LARGE = ConvSpec((1, 1), ((1, 1), (1, 1)), (2, 1)), (2, 8, 60, 60), (5, 8, 3, 3)


@pytest.mark.parametrize(("row", "layer"), [*ABLE, *((ALGORITHMS[name], LARGE) for name in ("im2col", "fft"))])
def test_no_call_takes_more_than_it_is_said_to_need_on_any_number_of_threads(several, row, layer, monkeypatch):
    """With blocks so small that every thread has some."""
    for module, name in ((im2col, "BLOCK_BYTES"), (im2col, "LOWERED_BYTES"), (winograd, "BLOCK_BYTES")):
        monkeypatch.setattr(module, name, 2**18 if layer is LARGE else 2**16)
    monkeypatch.setattr(fft, "BLOCK", 2**14)
    im2col._plan.cache_clear()
    spec, x, w = layer
    xs, ws = draw(x), draw(w, 1)
    y = direct.conv(xs, ws, spec)
    for kind, call in {
        "conv": lambda: row.conv(xs, ws, spec),
        "input_grad": lambda: row.input_grad(y, ws, spec, x[2:]),
        "weight_grad": lambda: row.weight_grad(y, xs, spec, w[2:]),
    }.items():
        forget()
        tracemalloc.start()
        result = call()
        used = tracemalloc.get_traced_memory()[1] - result.nbytes
        tracemalloc.stop()
        assert used <= row.needs(kind, spec, x, w, 8), kind
    im2col._plan.cache_clear()


@pytest.mark.parametrize(
    ("a", "b"),
    [((7, 5), (5, 3)), ((2, 5), (5, 9)), ((3, 1, 4), (2, 3, 4, 6)), ((2, 1, 9, 4), (3, 4, 1)), ((1, 0), (0, 4))],
)
def test_a_shared_product_is_the_product(several, a, b):
    left, right = draw(a), draw(b, 1)
    out = np.full((left @ right).shape, np.nan)
    assert threads.multiply(left, right, out) is out
    assert np.array_equal(out, left @ right)


def test_a_part_shares_nothing_further(several):
    """Threads that wait for others of a pool that has no more would wait for ever."""
    done = []

    def outer(part):
        where = []
        assert threads.count() == 1  # before the next line would wait for ever
        threads.each(lambda part: where.append(threading.current_thread()), range(6))
        assert where == [threading.current_thread()] * 6
        done.append(part)

    threads.each(outer, range(8))
    assert sorted(done) == list(range(8)) and threads.count() == several


def test_the_library_of_numpy_is_found():
    """Else its threads would stand beside ours."""
    name = np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"]
    assert (threads._OpenBLAS._found() is not None) == ("openblas" in name)


@pytest.fixture
def library(monkeypatch):
    """One that multiplies with 4 threads."""
    held = threads._OpenBLAS()
    held.numbers = [4]
    held.get, held.set = lambda: held.numbers[-1], held.numbers.append
    monkeypatch.setattr(threads, "_OPENBLAS", held)
    return held


def test_the_library_is_held_to_one_thread_and_let_go(library):
    with threads.alone():
        assert (library.get(), threads.count()) == (1, 4)
        with threads.alone():
            assert library.get() == 1
        assert library.get() == 1
    assert (library.get(), threads.count()) == (4, 4)
    with pytest.raises(ValueError, match="mine"), threads.alone():
        raise ValueError("mine")
    assert library.get() == 4


def test_calls_that_overlap_hold_the_library_until_the_last_is_done(library):
    """Each would otherwise put back what it found, which was the other's."""
    first, second = threads.alone(), threads.alone()
    first.__enter__()
    second.__enter__()
    first.__exit__()
    assert library.get() == 1
    second.__exit__()
    assert library.get() == 4


def test_what_the_user_asked_of_the_library_stays(library):
    library.set(1)
    with threads.alone():
        assert threads.count() == 1
    assert library.get() == 1
    library.set(3)
    seen = []
    threads.each(lambda part: seen.append(library.get()), range(6))
    assert seen == [1] * 6
    assert (library.get(), threads.count()) == (3, 3)


def test_products_that_the_library_would_share_are_held(library, monkeypatch):
    seen = []
    monkeypatch.setattr(threads.np, "matmul", lambda a, b, out: seen.append(library.get()) or out)
    few, many = np.ones((2, 2)), np.ones((80, 80))
    threads.multiply(few, few, few)
    threads.multiply(many, many, many)
    assert seen == [4, 1]


def test_a_child_forked_amid_a_call_has_the_whole_library(library):
    library.hold()
    library.forked()
    assert (library.get(), library.calls) == (4, 0)


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) == 1, reason="there is no other processor"
)
def test_other_threads_keep_off_the_processor_of_the_first(monkeypatch):
    monkeypatch.setattr(threads._OPENBLAS, "threads", lambda: 4)
    mine, here, seen = os.sched_getaffinity(0), threading.current_thread(), {}
    threads.each(lambda part: seen.setdefault(threading.current_thread(), os.sched_getaffinity(0)), range(10))
    assert seen.pop(here) == mine
    assert len(seen) >= 1
    assert all(allowed < mine and len(allowed) == len(mine) - 1 for allowed in seen.values())


def test_where_no_thread_can_be_started_this_one_does_it_all(several, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    pool = threads._Pool()
    monkeypatch.setattr(threads, "_pool", lambda: pool)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    where = []
    threads.each(lambda part: where.append(threading.current_thread()), range(8))
    assert where == [threading.current_thread()] * 8


def test_nothing_of_a_call_is_kept(several):
    """A thread that waits for its next part holds nothing of the last."""

    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    threads.each(lambda part, thing=thing: None, range(10))
    del thing
    gc.collect()
    threads.each(lambda part: None, range(10))  # by now all threads have come back for more
    assert gone() is None
