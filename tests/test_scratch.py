"""Buffers kept between calls: the same memory again, never that of another name or thread, never too much of it."""

import threading

import numpy as np
import pytest

from refconv import scratch, threads

FLOAT = np.dtype("float32")


def test_the_same_name_gives_the_same_memory_again():
    first = scratch.buffer("test", (4, 5), FLOAT)
    assert np.shares_memory(first, scratch.buffer("test", (2, 2), np.dtype("float64")))
    assert not np.shares_memory(first, scratch.buffer("test other", (4, 5), FLOAT))
    assert first.flags.c_contiguous and first.flags.writeable and first.flags.aligned


def test_each_thread_has_its_own():
    mine, theirs = scratch.buffer("test", (9,), FLOAT), []
    thread = threading.Thread(target=lambda: theirs.append(scratch.buffer("test", (9,), FLOAT)))
    thread.start()
    thread.join()
    assert not np.shares_memory(mine, theirs[0])


def test_a_large_buffer_is_not_kept(monkeypatch):
    monkeypatch.setattr(scratch, "KEPT_BYTES", 64)
    large = scratch.buffer("test large", (17,), FLOAT)
    assert not np.shares_memory(large, scratch.buffer("test large", (17,), FLOAT))


@pytest.mark.parametrize(
    ("array", "shape"),
    [(np.ones(9), (3, 4)), (np.ones((3, 3))[:, ::2], (1, 1))],
    ids=["beyond the end", "with gaps"],
)
def test_a_view_stays_within_its_array(array, shape):
    scratch.strided(np.ones(9), (3, 3), (24, 8))
    with pytest.raises((TypeError, ValueError)):
        scratch.strided(array, shape, (24, 8))


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("padding", [((1, 2), (0, 3)), ((-1, 2), (2, -2)), ((0, 0), (-3, 0)), ((-9, 0), (1, 1))])
def test_what_is_placed_has_zeros_around_it(padding, number, monkeypatch):
    monkeypatch.setattr(threads._OPENBLAS, "threads", lambda: number)
    monkeypatch.setattr(threads, "WORTH", 1)
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype("float32")
    inner = x[:, :, max(0, -padding[0][0]) : 4 - max(0, -padding[0][1])]
    inner = inner[..., max(0, -padding[1][0]) : 5 - max(0, -padding[1][1])]
    full = np.pad(inner, ((0, 0), (0, 0), *((max(0, a), max(0, b)) for a, b in padding)))
    for more in (0, 2):
        scratch.buffer("placed", (2, 3, 30, 30), FLOAT).fill(np.nan)
        size = full.shape[2] + more, full.shape[3] + more
        found = scratch.placed("placed", x, padding, size)
        assert np.array_equal(found, np.pad(full, ((0, 0), (0, 0), (0, more), (0, more))))
    cropped = scratch.placed("placed", x, padding, (full.shape[2], full.shape[3] - 1))
    assert np.array_equal(cropped, full[..., :-1])
