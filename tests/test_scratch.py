"""Buffers kept between calls: the same memory again, never that of another name or thread, never too much of it."""

import threading

import numpy as np
import pytest

from refconv import scratch

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
