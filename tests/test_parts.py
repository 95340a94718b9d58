"""A budget of memory: no algorithm takes more than it is said to need, and calls cut to fit give what whole ones do."""

import tracemalloc

import numpy as np
import pytest

import refconv
from refconv import parts, scratch
from refconv.algorithms import ALGORITHMS, direct
from refconv.spec import ConvSpec

MIB = 2**20
SPECS = [
    (ConvSpec((1, 1), ((1, 1), (1, 1)), (1, 1)), (2, 4, 33, 20), (6, 4, 3, 3)),
    (ConvSpec((1, 1), ((0, 2), (3, 0)), (1, 1), 4), (2, 8, 33, 18), (12, 2, 5, 2)),
    (ConvSpec((3, 2), ((9, 7), (0, 1)), (2, 1), 8), (2, 8, 50, 15), (8, 1, 4, 3)),
    (ConvSpec((2,), ((3, 0),), (1,)), (1, 3, 200), (20, 3, 7)),
]


def draw(shape, seed=0):
    return np.random.default_rng(seed).integers(-8, 9, shape).astype("float64")


def calls(name, spec, x, w, room):
    """The three functions of an algorithm within a budget, and what each must give."""
    row = ALGORITHMS[name]
    xs, ws = draw(x), draw(w, 1)
    y = direct.conv(xs, ws, spec)
    yield "conv", y, lambda: parts.conv(row, xs, ws, spec, room)
    expected = direct.input_grad(y, ws, spec, x[2:])
    yield "input_grad", expected, lambda: parts.input_grad(row, y, ws, spec, x[2:], room)
    yield (
        "weight_grad",
        direct.weight_grad(y, xs, spec, w[2:]),
        lambda: parts.weight_grad(row, y, xs, spec, w[2:], room),
    )


def peak(call):
    """The bytes allocated at most, nothing being kept from before, and the result."""
    scratch.forget()
    tracemalloc.start()
    result = call()
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return used, result


def able(name, spec):
    sizes = (9,) * spec.rank
    return not ALGORITHMS[name].refuses("conv2d", spec, sizes, sizes, np.dtype("float64"))


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
@pytest.mark.parametrize(("spec", "x", "w"), SPECS, ids=range(len(SPECS)))
def test_no_call_takes_more_than_it_is_said_to_need(name, spec, x, w):
    if able(name, spec):
        for kind, expected, call in calls(name, spec, x, w, 2**40):
            used, result = peak(call)
            assert np.array_equal(np.rint(result), expected)
            assert used - result.nbytes <= ALGORITHMS[name].needs(kind, spec, x, w, 8), kind


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
@pytest.mark.parametrize(("spec", "x", "w"), SPECS, ids=range(len(SPECS)))
def test_what_is_cut_to_fit_joins_without_a_seam(name, spec, x, w):
    if able(name, spec):
        for kind in ("conv", "input_grad", "weight_grad"):
            call = (spec, x, w)
            room = parts.least(ALGORITHMS[name], kind, call, 8)
            assert room <= ALGORITHMS[name].needs(kind, *call, 8)
            for found, expected, run in calls(name, *call, room):
                if found == kind:
                    parts._boxes(ALGORITHMS[name], kind, call, 8, room)  # which are remembered
                    used, result = peak(run)
                    assert np.array_equal(np.rint(result), expected)
                    assert used - result.nbytes <= room
            with pytest.raises(parts.TooLarge, match=f"{name!r} needs .* MiB"):
                for found, _, run in calls(name, *call, room - 1):
                    if found == kind:
                        run()


LARGE = np.ones((8, 16, 128, 128), "float32"), np.ones((16, 16, 3, 3), "float32")


@pytest.mark.parametrize("method", ["auto", "direct", "fft", "im2col", "winograd"])
def test_a_large_layer_keeps_to_its_budget(method):
    """With all that is kept from call to call; less memory gives the same numbers."""
    x, w = LARGE
    arguments = {"padding": 1, "method": method}
    used, y = peak(lambda: refconv.conv2d(x, w, memory=8, **arguments))
    assert used - y.nbytes <= 8 * MIB
    more, whole = peak(lambda: refconv.conv2d(x, w, **arguments))
    assert np.array_equal(np.rint(y), np.rint(whole)) and more - y.nbytes <= 256 * MIB
    assert y.max() == 144 or method in ("fft", "winograd")


def test_the_gradients_keep_to_it_too():
    x, w = LARGE
    g = np.ones((2, 16, 128, 128), "float32")
    used, found = peak(lambda: refconv.conv2d_backward(g, x[:2], w, padding=1, memory=6))
    assert used - sum(result.nbytes for result in found) <= 6 * MIB
    for result, whole in zip(found, refconv.conv2d_backward(g, x[:2], w, padding=1), strict=True):
        assert np.array_equal(result, whole)
    used, back = peak(lambda: refconv.conv_transpose2d(g, w, padding=1, memory=6))
    assert used - back.nbytes <= 6 * MIB and np.array_equal(back, found[0])


def test_copies_of_operands_count():
    """Numbers of half the width are computed in twice the memory, however the work is cut."""
    x, w = (array.astype("float16") for array in LARGE)
    used, y = peak(lambda: refconv.conv2d(x, w, padding=1, memory=32))
    assert used - y.nbytes <= 32 * MIB
    with pytest.raises(ValueError, match="`memory` leaves 0 MiB"):
        refconv.conv2d(x, w, padding=1, memory=8)


@pytest.mark.parametrize("memory", [0, -1, np.nan, np.inf, True, "256", None])
def test_a_budget_is_a_number_of_mebibytes(memory):
    with pytest.raises(ValueError, match=r"`memory` is .*, but must be a number of MiB above 0"):
        refconv.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2)), memory=memory)


def test_what_cannot_be_kept_says_what_can():
    x, w = LARGE
    with pytest.raises(
        ValueError, match=r"`memory` leaves 0.5 MiB, but `method` 'winograd' needs [\d.]+ MiB.*give more"
    ):
        refconv.conv2d(x, w, method="winograd", memory=0.5)
    with pytest.raises(ValueError, match=r"`memory` leaves 0.01 MiB, but `method` 'direct' needs .*give more `memory`"):
        refconv.conv2d(x, w, memory=0.01)
    y = refconv.conv2d(x, w, memory=1)  # by direct summation, where there is no room for patches
    assert np.array_equal(y, refconv.conv2d(x, w))
