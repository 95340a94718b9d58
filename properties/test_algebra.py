"""Algebra: what linearity and commutativity say of several calls of one subject; no exact value is asked for.

Operands are integers so small that their combinations stay exact: a correct direct kernel has no room at all, and
one of a transform class has the room of its claim.
"""

from dataclasses import replace
from itertools import product
from math import prod

import numpy as np
from hypothesis import strategies as st

from refconv.dtypes import format_of, numpy_dtype
from refconv.judge import Violation
from refconv.law import NotApplicable, law
from refconv.relations import (
    SEEDS,
    agree,
    as_operand,
    ask,
    fresh,
    integers,
    mapped,
    padded,
    points,
    whole,
    whole_numbers,
    wide,
    without,
)
from refconv.spec import OPERATIONS

FACTORS = (2, -3)  # of the linear combinations
PRIME, GENERATOR = 998_244_353, 3  # 119 * 2^23 + 1: it has roots of unity of every order 2^k up to 2^23
UNIT = pow(GENERATOR, (PRIME - 1) // 4, PRIME)  # its square is -1: the imaginary unit


def combination(*terms):
    """The sum of factor times result."""
    (factor, total), *rest = terms
    total = {name: interval * factor for name, interval in total.items()}
    for factor, found in rest:
        total = {name: total[name] + found[name] * factor for name in total}
    return total


def conjugate(found):
    return {name: -interval if name.endswith(".imag") else interval for name, interval in found.items()}


# ------------------------------------------------------------------------------------------------- linearity


def linear(judged, case, seed, name):
    """f(2 x - 3 y) = 2 f(x) - 3 f(y) in one operand, without bias."""
    spare = 2 * sum(map(abs, FACTORS))
    first = fresh(case, seed, spare=spare, bias=None)
    other = fresh(first, seed + 1, spare=spare).operands[name]
    x, y = wide(first.operands[name]), wide(other)
    both = (FACTORS[0] * x + FACTORS[1] * y).astype(numpy_dtype(case.dtype))
    apart = ask(judged, first), ask(judged, first.with_operands(**{name: other}))
    together = first.with_operands(**{name: both})
    right = combination(*zip(FACTORS, apart, strict=True))
    agree(ask(judged, together), right, together, f"not linear in `{name}`")


@law(case=whole, seed=SEEDS, share=0.2)
def test_convolution_is_linear_in_the_input(conv, case, seed):
    """A linear combination of two inputs gives the same combination of their results."""
    linear(conv, case, seed, "input")


@law(case=whole, seed=SEEDS, share=0.2)
def test_convolution_is_linear_in_the_kernel(conv, case, seed):
    """A linear combination of two kernels gives the same combination of their results."""
    linear(conv, case, seed, "weight")


@law(case=whole, seed=SEEDS, share=0.2)
def test_transposed_convolution_is_linear_in_the_input(conv_transpose, case, seed):
    """A linear combination of two inputs gives the same combination of their results."""
    linear(conv_transpose, case, seed, "input")


@law(case=whole, seed=SEEDS, share=0.2)
def test_transposed_convolution_is_linear_in_the_kernel(conv_transpose, case, seed):
    """A linear combination of two kernels gives the same combination of their results."""
    linear(conv_transpose, case, seed, "weight")


@law(case=whole, seed=SEEDS, share=0.25)
def test_average_pooling_is_linear(avg_pool, case, seed):
    """A linear combination of two inputs gives the same combination of their averages."""
    linear(avg_pool, case, seed, "input")


@law(case=whole, seed=SEEDS, operand=st.sampled_from(("in1", "in2")), share=0.3)
def test_convolution_is_distributive(convolve, case, seed, operand):
    """(2 f - 3 g) * h = 2 (f * h) - 3 (g * h), on either side and in every mode."""
    linear(convolve, case, seed, operand)


@law(case=whole, seed=SEEDS, operand=st.sampled_from(("in1", "in2")), share=0.3)
def test_correlation_is_distributive(correlate, case, seed, operand):
    """Correlating a combination with real factors gives the combination of the correlations, on either side."""
    linear(correlate, case, seed, operand)


# -------------------------------------------------------------------------------------------- bias and zero


def along_channels(bias, output):
    """(O,) in the shape of the output."""
    return np.broadcast_to(wide(bias).reshape(1, -1, *(1,) * (len(output) - 2)), output)


def with_bias(judged, case, seed):
    if not judged.subject.scope.bias:
        raise NotApplicable("takes no bias")
    return fresh(case, seed, bias=(case.shapes["output"][1],))


def biased(judged, case, seed):
    case = with_bias(judged, case, seed)
    plain = replace(case, operands={name: a for name, a in case.operands.items() if name != "bias"})
    bias = points(along_channels(case.operands["bias"], case.shapes["output"]))
    expected = combination((1, ask(judged, plain)), (1, bias))
    agree(ask(judged, case), expected, case, "the bias is not added once at every position")


def zeroed(judged, case, seed, name):
    case = with_bias(judged, case, seed) if "bias" in case.operands else fresh(case, seed)
    case = case.with_operands(**{name: np.zeros_like(case.operands[name])})
    shape = case.shapes["output"]
    bias = case.operands.get("bias", np.zeros(shape[1]))
    agree(ask(judged, case), points(along_channels(bias, shape)), case, f"zero `{name}` leaves more than the bias")


@law(case=whole, seed=SEEDS, share=0.2)
def test_bias_is_added_at_every_position(conv, case, seed):
    """A bias adds its value to every position of its channel, those in the padding too."""
    biased(conv, case, seed)


@law(case=whole, seed=SEEDS, share=0.2)
def test_transposed_bias_is_added_at_every_position(conv_transpose, case, seed):
    """A bias adds its value to every position of its channel, those of the output padding too."""
    biased(conv_transpose, case, seed)


@law(case=whole, seed=SEEDS, name=st.sampled_from(("input", "weight")), share=0.2)
def test_zero_operand_leaves_the_bias(conv, case, seed, name):
    """A zero input or a zero kernel gives the bias, zero without one."""
    zeroed(conv, case, seed, name)


@law(case=whole, seed=SEEDS, name=st.sampled_from(("input", "weight")), share=0.2)
def test_zero_operand_leaves_the_transposed_bias(conv_transpose, case, seed, name):
    """A zero input or a zero kernel gives the bias, zero without one."""
    zeroed(conv_transpose, case, seed, name)


# ---------------------------------------------------------------------------------------------------- scale

EXPONENT = st.integers(-40, 40)


def shifted(array, exponent):
    return (wide(array) * 2.0**exponent).astype(array.dtype)


def scaled(judged, case, seed, exponents):
    """Operands times powers of two give the result times their product; far from overflow and underflow."""
    case = fresh(case, seed, spare=8)
    if case.dtype == "float16":
        exponents = [int(np.clip(e, -3, 1)) for e in exponents]
    names = [name for name in case.operands if name != "bias"]
    powers = dict(zip(names, exponents, strict=False))
    total = sum(powers.values())
    if "bias" in case.operands:
        powers["bias"] = total
    large = case.with_operands(**{name: shifted(case.operands[name], e) for name, e in powers.items()})
    expected = mapped(ask(judged, case), lambda end: end * 2.0**total)
    agree(ask(judged, large), expected, large, "operands times powers of two do not scale the result")


@law(case=whole, seed=SEEDS, exponents=st.tuples(EXPONENT, EXPONENT), share=0.15)
def test_powers_of_two_scale_a_convolution(conv, case, seed, exponents):
    """Operands times powers of two give the result times their product."""
    scaled(conv, case, seed, exponents)


@law(case=whole, seed=SEEDS, exponents=st.tuples(EXPONENT, EXPONENT), share=0.15)
def test_powers_of_two_scale_a_transposed_convolution(conv_transpose, case, seed, exponents):
    """Operands times powers of two give the result times their product."""
    scaled(conv_transpose, case, seed, exponents)


@law(case=whole, seed=SEEDS, exponents=st.tuples(EXPONENT), share=0.15)
def test_powers_of_two_scale_a_maximum(max_pool, case, seed, exponents):
    """An input times a power of two gives the maxima times it."""
    scaled(max_pool, case, seed, exponents)


@law(case=whole, seed=SEEDS, exponents=st.tuples(EXPONENT), share=0.15)
def test_powers_of_two_scale_an_average(avg_pool, case, seed, exponents):
    """An input times a power of two gives the averages times it."""
    scaled(avg_pool, case, seed, exponents)


@law(case=whole, seed=SEEDS, exponents=st.tuples(EXPONENT, EXPONENT), share=0.15)
def test_powers_of_two_scale_a_signal_convolution(convolve, case, seed, exponents):
    """Operands times powers of two give the result times their product."""
    scaled(convolve, case, seed, exponents)


@law(case=whole, seed=SEEDS, exponents=st.tuples(EXPONENT, EXPONENT), share=0.15)
def test_powers_of_two_scale_a_correlation(correlate, case, seed, exponents):
    """Operands times powers of two give the result times their product."""
    scaled(correlate, case, seed, exponents)


# --------------------------------------------------------------------------------------------------- deltas


def full_precision(case, shape, rng):
    """Integers that use every bit of the dtype: nothing is summed, so nothing may be lost."""
    return integers(rng, shape, 2 ** format_of(case.dtype).precision - 1, case.dtype)


def one_tap(w, rng, per_group):
    """For each output channel the input channel of its group and the tap that it copies."""
    outputs = rng.integers(0, per_group, w[0])
    return outputs, np.stack([rng.integers(0, k, w[0]) for k in w[2:]], axis=1)


@law(case=whole, seed=SEEDS, share=0.25)
def test_a_delta_kernel_copies_the_input(conv, case, seed):
    """A kernel that is one at a single tap copies the input cells under it; the identity where that is the centre."""
    rng, x, w = np.random.default_rng(seed), case.operands["input"], case.operands["weight"].shape
    channels, taps = one_tap(w, rng, w[1])
    kernel = np.zeros(w, numpy_dtype(case.dtype))
    kernel[(np.arange(w[0]), channels, *taps.T)] = 1
    values = full_precision(case, x.shape, rng)
    case = replace(case, operands={"input": values, "weight": kernel})
    image = padded(wide(values), case.conv.padding)
    expected = np.zeros(case.shapes["output"])
    for o in range(w[0]):
        source = o // (w[0] // case.conv.groups) * w[1] + channels[o]
        expected[:, o] = image[:, source][under_tap(case, taps[o])]
    agree(ask(conv, case), points(expected), case, "a delta kernel does not copy the cells under its tap")


def under_tap(case, tap):
    """The cells of the padded input that one tap reads, over all outputs."""
    axes = zip(tap, case.shapes["output"][2:], case.conv.stride, case.conv.dilation, strict=True)
    return (..., *(slice(t * d, t * d + (n - 1) * s + 1, s) for t, n, s, d in axes))


@law(case=whole, seed=SEEDS, share=0.25)
def test_a_delta_kernel_places_the_input(conv_transpose, case, seed):
    """A transposed kernel that is one at a single tap places the input on the grid of the stride, zero between."""
    rng, x, w = np.random.default_rng(seed), case.operands["input"], case.operands["weight"].shape
    groups = case.conv.groups
    channels, taps = one_tap((w[1] * groups, 0, *w[2:]), rng, w[0] // groups)
    kernel = np.zeros(w, numpy_dtype(case.dtype))
    values = full_precision(case, x.shape, rng)
    case = replace(case, operands={"input": values, "weight": kernel})
    sizes = zip(x.shape[2:], case.conv.stride, case.conv.extent(w[2:]), case.output_padding, strict=True)
    canvas = np.zeros((x.shape[0], w[1] * groups, *((n - 1) * s + e + extra for n, s, e, extra in sizes)))
    for o in range(w[1] * groups):
        source = o // w[1] * (w[0] // groups) + channels[o]
        kernel[(source, o % w[1], *taps[o])] = 1
        steps = zip(taps[o], x.shape[2:], case.conv.stride, case.conv.dilation, strict=True)
        where = (..., *(slice(t * d, t * d + (n - 1) * s + 1, s) for t, n, s, d in steps))
        canvas[:, o][where] = wide(values)[:, source]
    pairs = zip(case.conv.padding, case.shapes["output"][2:], strict=True)
    expected = canvas[(..., *(slice(a, a + n) for (a, _), n in pairs))]
    agree(ask(conv_transpose, case), points(expected), case, "a delta kernel does not place the input")


# -------------------------------------------------------------------------------------- convolve, correlate


def in_full(case):
    return replace(case, arguments=without(case, "mode"))


def mirrored(array):
    return array[(slice(None, None, -1),) * array.ndim]


def exchanged(case):
    return case.with_operands(in1=case.operands["in2"], in2=case.operands["in1"])


def narrow(case):
    """Bits that results may have so that each is exact in the dtype, and well below the prime."""
    return min(format_of(case.dtype).precision, 28) - 1


@law(case=whole, seed=SEEDS, share=0.3)
def test_convolution_is_commutative(convolve, case, seed):
    """f * g = g * f, in full and where both overlap completely."""
    case = fresh(case if case.settings["mode"] == "valid" else in_full(case), seed)
    left, right = ask(convolve, case), ask(convolve, exchanged(case))
    agree(left, right, case, "exchanging the operands changes the convolution")


@law(case=whole, seed=SEEDS, share=0.3)
def test_convolution_is_associative(convolve, case, seed):
    """(f * g) * h = f * (g * h) in full."""
    rng, rank = np.random.default_rng(seed), case.operands["in1"].ndim
    case = fresh(in_full(case), seed, spare=8, bits=max(1, narrow(case) - 3))  # h adds up to 8 of the products
    f, g = case.operands["in1"], case.operands["in2"]
    h = integers(rng, tuple(rng.integers(1, 3, rank)), 1, case.dtype)
    inner = [case, case.with_operands(in1=g, in2=h)]
    products = [as_operand(whole_numbers(ask(convolve, c), c), c) for c in inner]
    left, right = case.with_operands(in1=products[0], in2=h), case.with_operands(in1=f, in2=products[1])
    agree(ask(convolve, left), ask(convolve, right), left, "the order of two convolutions matters")


def delta(judged, case, seed, mirror):
    """An operand in2 that is one at a single place shifts in1 there."""
    rng, case = np.random.default_rng(seed), in_full(case)
    f, shape = full_precision(case, case.operands["in1"].shape, rng), case.operands["in2"].shape
    at = tuple(int(rng.integers(n)) for n in shape)
    one = np.zeros(shape, f.dtype)
    one[at] = 1
    case = case.with_operands(in1=f, in2=one)
    start = [n - 1 - i if mirror else i for n, i in zip(shape, at, strict=True)]
    expected = np.zeros(case.shapes["output"], wide(f).dtype)
    expected[tuple(slice(i, i + n) for i, n in zip(start, f.shape, strict=True))] = wide(f)
    agree(ask(judged, case), points(expected), case, "a delta does not shift the other operand to its place")


@law(case=whole, seed=SEEDS, share=0.3)
def test_a_delta_is_the_identity(convolve, case, seed):
    """Convolving with a delta shifts f to its place: at the origin, it is the identity."""
    delta(convolve, case, seed, mirror=False)


@law(case=whole, seed=SEEDS, share=0.3)
def test_correlating_with_a_delta_shifts(correlate, case, seed):
    """Correlating with a delta shifts f the other way."""
    delta(correlate, case, seed, mirror=True)


@law(case=whole, seed=SEEDS, share=0.3)
def test_the_sum_is_the_product_of_the_sums(convolve, case, seed):
    """The sum of the full convolution is the product of the sums of its operands."""
    case = in_full(case)
    case = fresh(case, seed, spare=4 * prod(case.shapes["output"]))
    f, g = (wide(a).sum() for a in case.operands.values())
    total = {name: interval.sum() for name, interval in ask(convolve, case).items()}
    agree(total, points(f * g), case, "the sum is not the product of the sums")


def residues(real, imag=0):
    """Integers modulo the prime; a root of -1 stands for the imaginary unit."""
    return (np.asarray(real).astype(np.int64) + np.asarray(imag).astype(np.int64) % PRIME * UNIT) % PRIME


def transform(values, lengths):
    """The discrete Fourier transform over the integers modulo the prime, on every axis."""
    out = np.zeros(lengths, np.int64)
    out[tuple(map(slice, values.shape))] = values
    for axis, n in enumerate(lengths):
        root = pow(GENERATOR, (PRIME - 1) // n, PRIME)
        powers = np.array([pow(root, i, PRIME) for i in range(n)])
        moved, total = np.moveaxis(out, axis, 0), 0
        for i in range(n):
            waves = powers[np.arange(n) * i % n]
            total = (total + waves.reshape(n, *(1,) * (out.ndim - 1)) * moved[i]) % PRIME
        out = np.moveaxis(total, 0, axis)
    return out


def integer_parts(array):
    """An operand of integers, or the integers of a result, as (real, imaginary)."""
    if isinstance(array, dict):
        return array.get("output.real", array.get("output")), array.get("output.imag", 0)
    return wide(array).real, wide(array).imag


@law(case=whole, seed=SEEDS, share=0.3)
def test_convolution_theorem(convolve, case, seed):
    """The Fourier transform of the full convolution is the product of the transforms, in exact modular arithmetic."""
    case = fresh(in_full(case), seed, bits=narrow(case))
    lengths = tuple(2 ** int(n - 1).bit_length() for n in case.shapes["output"])
    f, g = (transform(residues(*integer_parts(a)), lengths) for a in case.operands.values())
    found = whole_numbers(ask(convolve, case), case)
    both = transform(residues(*integer_parts(found)), lengths)
    differ = both != f * g % PRIME
    if differ.any():
        at = tuple(int(i) for i in np.argwhere(differ)[0])
        raise Violation("the transform of the convolution is not the product of the transforms", case, index=at)


def evaluated(coefficients, points):
    """The value of a polynomial in several variables, in unbounded integers."""
    total = 0
    for index in product(*map(range, np.shape(coefficients))):
        total += int(coefficients[index]) * prod(p**i for p, i in zip(points, index, strict=True))
    return total


@law(case=whole, seed=SEEDS, point_seed=SEEDS, share=0.2)
def test_polynomials_multiply(convolve, case, seed, point_seed):
    """The full convolution holds the coefficients of the product of two polynomials: values multiply at any point."""
    case = fresh(in_full(case), seed, bits=narrow(case))
    rng = np.random.default_rng(point_seed)
    points = [int(rng.integers(2, 2**40)) for _ in case.operands["in1"].shape]
    zero = np.zeros(case.shapes["output"])
    (a, b), (c, d) = ([evaluated(p, points) for p in integer_parts(x)] for x in case.operands.values())
    real, imag = integer_parts(whole_numbers(ask(convolve, case), case))
    found = evaluated(real, points), evaluated(imag if np.ndim(imag) else zero, points)
    if found != (a * c - b * d, a * d + b * c):
        raise Violation("the coefficients are not those of the product of the polynomials", case)


@law(case=whole, seed=SEEDS, share=0.3)
def test_convolution_is_correlation_with_the_kernel_flipped(convolve, case, seed):
    """f * g is the correlation of f with g flipped on every axis and conjugated, in every mode."""
    case = fresh(case, seed)
    flipped = np.ascontiguousarray(np.conj(mirrored(wide(case.operands["in2"]))).astype(numpy_dtype(case.dtype)))
    other = replace(case.with_operands(in2=flipped), operation=OPERATIONS["correlate"])
    right = ask(convolve.sibling("correlate"), other)
    agree(ask(convolve, case), right, case, "not the correlation with the flipped kernel")


@law(case=whole, seed=SEEDS, share=0.3)
def test_exchanged_correlation_is_the_conjugate_mirror_image(correlate, case, seed):
    """Correlation is not commutative: corr(f, g)(t) is the conjugate of corr(g, f)(-t)."""
    case = fresh(in_full(case), seed)
    right = conjugate(mapped(ask(correlate, exchanged(case)), mirrored))
    agree(ask(correlate, case), right, case, "exchanging the operands does not mirror and conjugate")


def crop(judged, case, seed, mode):
    full = fresh(in_full(case), seed)
    n, m = (a.shape for a in full.operands.values())
    if mode == "same":
        keep = tuple(slice((j - 1) // 2, (j - 1) // 2 + i) for i, j in zip(n, m, strict=True))
    else:
        keep = tuple(slice(min(i, j) - 1, max(i, j)) for i, j in zip(n, m, strict=True))
    part = replace(full, arguments={"mode": mode})
    right = mapped(ask(judged, full), lambda end: end[keep])
    agree(ask(judged, part), right, part, f"mode {mode!r} is not its part of the full result")


@law(case=whole, seed=SEEDS, mode=st.sampled_from(("same", "valid")), share=0.3)
def test_modes_of_convolution_are_parts_of_full(convolve, case, seed, mode):
    """`same` is the centre of the full result in the size of in1, `valid` where both overlap completely."""
    crop(convolve, case, seed, mode)


@law(case=whole, seed=SEEDS, mode=st.sampled_from(("same", "valid")), share=0.3)
def test_modes_of_correlation_are_parts_of_full(correlate, case, seed, mode):
    """`same` is the centre of the full result in the size of in1, `valid` where both overlap completely."""
    crop(correlate, case, seed, mode)
