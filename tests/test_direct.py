"""Direct summation: the definition term by term, locality of special values, and the gradient in two ways."""

import itertools

import numpy as np
import pytest

from refconv.algorithms import direct
from refconv.spec import ConvSpec

PLAIN = ConvSpec((1, 1), ((0, 0), (0, 0)), (1, 1))


def draw(shape, seed=0):
    return np.random.default_rng(seed).integers(-8, 9, shape).astype("float64")


def definition(x, w, spec):
    """y[n, o, p] as the sum it is defined to be, one product after the other."""
    batch, channels, *size = x.shape
    y = np.zeros((batch, w.shape[0], *spec.output_size(tuple(size), w.shape[2:])))
    per_group = w.shape[0] // spec.groups
    for n, o, *p in np.ndindex(y.shape):
        for c, *t in np.ndindex(w.shape[1:]):
            axes = zip(p, spec.stride, t, spec.dilation, spec.padding, strict=True)
            at = [i * s + k * d - before for i, s, k, d, (before, _) in axes]
            if all(0 <= a < m for a, m in zip(at, size, strict=True)):
                y[(n, o, *p)] += w[(o, c, *t)] * x[(n, o // per_group * w.shape[1] + c, *at)]
    assert channels == w.shape[1] * spec.groups
    return y


SPECS = [
    PLAIN,
    ConvSpec((2, 1), ((1, 2), (0, 3)), (1, 2)),
    ConvSpec((1, 3), ((5, 0), (0, 7)), (2, 1), groups=2),
    ConvSpec((4, 4), ((0, 0), (1, 1)), (1, 1), groups=2),
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_forward_is_the_definition(spec):
    x, w = draw((2, 4, 5, 7)), draw((2, 4 // spec.groups, 3, 2), 1)
    assert np.array_equal(direct.conv(x, w, spec), definition(x, w, spec))


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_gradients_are_the_adjoints_of_the_definition(spec):
    """<g, conv(x, w)> is linear in each operand: its gradient is found by setting one element at a time."""
    x, w = draw((1, 2, 5, 4)), draw((2, 2 // spec.groups, 3, 2), 1)
    g = draw(definition(x, w, spec).shape, 2)
    for operand, grad in (
        (x, direct.input_grad(g, w, spec, x.shape[2:])),
        (w, direct.weight_grad(g, x, spec, w.shape[2:])),
    ):
        for index in np.ndindex(operand.shape):
            unit = np.zeros_like(operand)
            unit[index] = 1
            y = definition(unit, w, spec) if operand is x else definition(x, unit, spec)
            assert grad[index] == (g * y).sum()


def test_input_gradient_of_seed_bp_entry_by_entry():
    """SEED-BP: dX of a 3x3 input under [[w, x], [y, z]], with the weights and gradients told apart by powers of ten."""
    w, x, y, z = kernel = np.array([1.0, 2, 3, 5])
    p, q, r, s = grad = np.array([1.0, 10, 100, 1000])
    expected = [
        [w * p, w * q + x * p, x * q],
        [w * r + y * p, w * s + x * r + y * q + z * p, x * s + z * q],
        [y * r, y * s + z * r, z * s],
    ]
    g, k = grad.reshape(1, 1, 2, 2), kernel.reshape(1, 1, 2, 2)
    assert np.array_equal(direct.input_grad(g, k, PLAIN, (3, 3))[0, 0], expected)
    assert np.array_equal(direct.input_grad_rot180(g, k, PLAIN, (3, 3))[0, 0], expected)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_scattering_equals_the_rotated_kernel_with_full_padding(spec):
    """S10, for every stride, dilation and padding, padding beyond the kernel included."""
    x, w = draw((2, 4, 5, 7)), draw((2, 4 // spec.groups, 3, 2), 1)
    g = draw(direct.conv(x, w, spec).shape, 2)
    scattered = direct.input_grad(g, w, spec, (5, 7))
    assert np.array_equal(scattered, direct.input_grad_rot180(g, w, spec, (5, 7)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_special_values_reach_exactly_the_outputs_that_read_them(value):
    spec = ConvSpec((1, 2), ((1, 1), (2, 0)), (2, 1))
    w = np.zeros((2, 3, 3, 2))  # 0 times a special value is NaN
    for index in itertools.product(range(6), range(5)):
        x = np.ones((1, 3, 6, 5))
        x[(0, 1, *index)] = value
        with np.errstate(invalid="ignore"):
            y = direct.conv(x, w, spec)
        reads = direct.conv((x == value) | np.isnan(x), w == 0, spec).astype(bool)
        assert np.array_equal(np.isnan(y), reads)


def test_padded_taps_are_skipped():
    """An infinite weight over the border multiplies nothing; over data it gives infinity."""
    y = direct.conv(np.ones((1, 1, 3)), np.array([[[np.inf, 1.0]]]), ConvSpec((1,), ((1, 1),), (1,)))
    assert y.tolist() == [[[1.0, np.inf, np.inf, np.inf]]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int64"])
def test_the_computing_dtype_is_kept(dtype):
    x, w = draw((1, 2, 4, 4)).astype(dtype), draw((2, 2, 2, 2)).astype(dtype)
    y = direct.conv(x, w, PLAIN)
    results = (y, direct.input_grad(y, w, PLAIN, (4, 4)), direct.weight_grad(y, x, PLAIN, (2, 2)))
    assert {r.dtype.name for r in results} == {dtype}
