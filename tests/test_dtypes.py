"""The table of formats against the casts of NumPy and ml_dtypes, and the reals that round to a value."""

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from refconv.dtypes import FORMATS, Format, format_of, numpy_dtype

STORED = ["float16", "float32", "bfloat16"]
NARROW = [*STORED, "tf32"]
TOY = Format("toy", 3, -2, 2)  # all of it fits on one line: 0, 1/16 .. 3/16 subnormal, 1/4 .. 7


def same(got, want):
    """Bit for bit: the sign of zero and infinities included."""
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(want))


def values_of(form):
    """Positive values of every binade: ends, one above and below, random ones; subnormals, the largest."""
    rng = np.random.default_rng(0)
    p = form.precision
    exponents = np.arange(form.emin, form.emax + 1)
    exponents = exponents if len(exponents) < 80 else np.unique(np.r_[exponents[:12], exponents[::17], exponents[-12:]])
    mantissas = np.r_[2 ** (p - 1), 2 ** (p - 1) + 1, 2**p - 1, rng.integers(2 ** (p - 1), 2**p, 4)].astype(float)
    normal = np.ldexp(mantissas[:, None], exponents[None, :] - p + 1).ravel()
    low = np.unique(np.r_[0, 1, 2, 3, 2 ** (p - 1) - 1, rng.integers(0, 2 ** (p - 1), 20)]).astype(float)
    return np.concatenate([normal, low * form.smallest_subnormal])


def cast(values, name):
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(numpy_dtype(name)).astype(np.float64)


@pytest.mark.parametrize("name", STORED)
def test_round_is_the_cast_of_numpy(name):
    """On random numbers, on values of the format, on ties between neighbours and just beside them."""
    form, rng = FORMATS[name], np.random.default_rng(1)
    grid = values_of(form)
    ties = grid + form.ulp(grid) / 2
    beside = np.concatenate([np.nextafter(ties, 0), np.nextafter(ties, np.inf)])
    random = rng.standard_normal(2000) * np.exp2(rng.uniform(form.emin - 30.0, form.emax + 3.0, 2000))
    edges = np.array([form.max, form.smallest_normal, form.smallest_subnormal, 0.0, np.inf])
    values = np.concatenate([grid, ties, beside, random, edges, edges * (1 + 2.0**-30), edges * 0.5])
    if name == "bfloat16":  # ml_dtypes casts through float32: there only values that float32 holds
        values = cast(values, "float32")
    values = np.concatenate([values, -values])
    same(form.round(values), cast(values, name))


@pytest.mark.parametrize("name", NARROW)
def test_round_overflows_from_half_a_unit_above_the_largest(name):
    form = FORMATS[name]
    edge = form.max + np.ldexp(1.0, form.emax - form.precision)
    same(
        form.round(np.array([np.nextafter(edge, 0), edge, -edge, np.nan])),
        np.array([form.max, np.inf, -np.inf, np.nan]),
    )


def test_tf32_keeps_eleven_bits_and_the_range_of_float32():
    tf32, rng = FORMATS["tf32"], np.random.default_rng(2)
    values = rng.standard_normal(3000) * np.exp2(rng.uniform(-115, 122, 3000))
    mantissa, exponent = np.frexp(values)
    same(tf32.round(values), np.ldexp(np.rint(mantissa * 2**11), exponent - 11))
    assert tf32.max == np.ldexp(2 - 2.0**-10, 127) and tf32.smallest_subnormal == 2.0**-136


def test_float64_stays_as_it_is():
    values = np.array([5e-324, 1.1, np.inf, -0.0])
    same(FORMATS["float64"].round(values), values)


@pytest.mark.parametrize("name", [*STORED, "float64"])
def test_the_numbers_of_a_format_are_those_of_its_library(name):
    form, info = FORMATS[name], (ml_dtypes if name == "bfloat16" else np).finfo(numpy_dtype(name))
    assert form.max == float(info.max) and form.smallest_normal == float(info.smallest_normal)
    assert form.smallest_subnormal == float(info.smallest_subnormal) and form.unit_roundoff == float(info.eps) / 2


def test_a_toy_format_by_hand():
    """Every tie goes to the even neighbour; the unit in the last place of zero is the smallest subnormal."""
    small = [0.0, 1 / 16, 1 / 8, 3 / 16, 1 / 4, 5 / 16, 3 / 8, 7 / 16, 1 / 2]
    same(TOY.round(np.array(small)), np.array(small))
    same(TOY.round(np.array([1 / 32, 3 / 32, 5 / 32, 9 / 32, 7.4, 7.5])), np.array([0, 1 / 8, 1 / 8, 1 / 4, 7, np.inf]))
    same(TOY.ulp(np.array([0.0, 1 / 16, 1 / 4, 1.0, 7.0])), np.array([1 / 16, 1 / 16, 1 / 16, 1 / 4, 1.0]))


@pytest.mark.parametrize("form", [TOY, *(FORMATS[n] for n in NARROW)], ids=lambda f: f.name)
def test_a_cell_holds_exactly_the_reals_that_round_to_its_value(form):
    """Zero, subnormals, powers of two, the largest and infinity: just inside rounds to the value, just outside not."""
    grid = np.unique(values_of(form))
    values = np.concatenate([grid, -grid, [np.inf, -np.inf]])
    low, high = form.cell(values)
    assert (low <= values).all() and (values <= high).all()
    for end, inwards in ((low, np.inf), (high, -np.inf)):
        finite = np.isfinite(end)
        inside, outside = np.nextafter(end, inwards), np.nextafter(end, -inwards)
        assert (form.round(inside) == values)[finite].all()
        assert (form.round(outside) != values)[finite].all()
    assert low[-1] == -np.inf and high[-2] == np.inf and np.isfinite(low[-2])


@pytest.mark.parametrize("form", [TOY, *(FORMATS[n] for n in NARROW)], ids=lambda f: f.name)
def test_cells_of_neighbours_share_an_end(form):
    """No gap and no overlap, from the largest negative to infinity."""
    grid = np.unique(values_of(form))
    here = grid[grid < form.max]
    above = here + form.ulp(here)
    assert (form.cell(here)[1] == form.cell(above)[0]).all()
    assert form.cell(np.array([form.max]))[1] == form.cell(np.array([np.inf]))[0]


def test_the_cell_of_zero_is_half_a_subnormal_on_either_side():
    """Of zero with either sign; not a hair of the normal range."""
    for name in NARROW:
        half = Fraction(FORMATS[name].smallest_subnormal) / 2
        low, high = FORMATS[name].cell(np.array([0.0, -0.0]))
        assert [Fraction(float(v)) for v in (*low, *high)] == [-half, -half, half, half]


def test_nan_has_no_cell():
    assert np.isnan(FORMATS["float16"].cell(np.array([np.nan]))).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: numpy_dtype("float8"), "`dtype` is 'float8', but must be one of bfloat16, complex128"),
        (
            lambda: format_of("int32"),
            "`dtype` is 'int32', but must be one of bfloat16, float16, float32, float64, tf32",
        ),
    ],
    ids=["numpy_dtype(float8)", "format_of(int32)"],
)
def test_unknown_names_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_dtype_has_the_format_of_its_parts():
    assert format_of(np.dtype(np.complex64)) is FORMATS["float32"] and format_of("complex128") is FORMATS["float64"]
    assert format_of(np.dtype(ml_dtypes.bfloat16)) is FORMATS["bfloat16"] and numpy_dtype("bfloat16").itemsize == 2
