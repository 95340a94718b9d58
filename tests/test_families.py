"""What each data family promises of the numbers it draws."""

import numpy as np
import pytest

from refconv import bound, exact
from refconv.claims import Claims
from refconv.dtypes import format_of, numpy_dtype
from refconv.families import FAMILIES, Room, fill
from refconv.spec import OPERATIONS, Case
from refconv.strategies import DTYPES

SHAPES = {"input": (2, 8, 7, 6), "weight": (4, 8, 3, 3), "bias": (4,)}
TERMS = 72
LONG = {"input": (1, 512, 3, 3), "weight": (64, 512, 3, 3), "bias": (64,)}
SEEDS = range(12)


def conv(family, dtype, seed, shapes=SHAPES):
    terms = int(np.prod(shapes["weight"][1:]))
    return Case(OPERATIONS["conv2d"], fill(family, shapes, Room(dtype, terms), seed), {"padding": 1}, dtype, family)


def wide(array):
    return array.astype(np.float64)


@pytest.mark.parametrize("dtype", [*DTYPES, "complex64"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_finite_repeatable_and_of_the_asked_form(family, dtype):
    """In every dtype; the same for the same seed, another for another one."""
    room = Room(dtype, TERMS)
    one, again, other = (fill(family, SHAPES, room, seed) for seed in (1, 1, 2))
    for name, shape in SHAPES.items():
        assert one[name].shape == shape and one[name].dtype == numpy_dtype(dtype) and one[name].flags.c_contiguous
        assert np.isfinite(one[name].astype(np.complex128)).all()
        assert one[name].tobytes() == again[name].tobytes()
    assert any(one[name].tobytes() != other[name].tobytes() for name in SHAPES)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shapes", [SHAPES, LONG], ids=["72 terms", "4608 terms"])
@pytest.mark.parametrize("family", ["denseint", "asymX", "asymW"])
def test_exact_families_leave_no_room(family, shapes, dtype):
    """Every partial sum in every order is representable: nothing is allowed."""
    for seed in SEEDS if shapes is SHAPES else range(3):
        case = conv(family, dtype, seed, shapes)
        assert not bound.allowed(case, Claims())["output"].any()
        assert np.count_nonzero(wide(case.operands["input"])) and np.count_nonzero(wide(case.operands["weight"]))


@pytest.mark.parametrize("family", ["denseint", "asymX", "asymW"])
def test_exact_families_leave_no_room_in_a_float16_accumulator(family):
    """In float16 fewer bits are used, so that outputs stay finite; eleven-bit sums are not promised."""
    for seed in SEEDS:
        case = conv(family, "float16", seed)
        assert np.abs(exact.values(case)["output"].high).max() < 2.0**15


@pytest.mark.parametrize("dtype", DTYPES)
def test_denseint_is_as_large_as_it_may_be(dtype):
    """The largest sum that could be is within a factor of 4 of the limit, or the operand's own bits are the limit."""
    room = Room(dtype, TERMS)
    x = np.abs(wide(fill("denseint", SHAPES, room, 3)["input"]))
    largest = x.max() / exact.lowest_bit(x)
    assert 4 * TERMS * largest**2 >= 2.0**room.sum_bits or largest >= 0.9 * 2**room.operand_bits


def test_asymmetric_families_use_more_bits_than_a_rounded_operand_keeps():
    """One side odd integers of up to 17 bits, which rounding to 11 would show; the other 0 and 1 of either sign."""
    for family, full, few in (("asymX", "input", "weight"), ("asymW", "weight", "input")):
        operands = fill(family, SHAPES, Room("float32", TERMS), 0)
        integers = operands[full] / exact.lowest_bit(wide(operands[full]))
        assert np.abs(integers).max() > 2.0**15 and (integers % 2 == 1).all()
        assert len(np.unique(np.abs(operands[few]))) == 2


def test_the_asymmetric_families_never_exceed_their_few_terms():
    """Of 4608 products at most 257 are not zero, over many outputs."""
    for seed in range(6):
        operands = fill("asymX", LONG, Room("float32", 4608), seed)
        assert np.count_nonzero(operands["weight"], axis=(1, 2, 3)).max() <= 257


@pytest.mark.parametrize("shapes", [SHAPES, LONG], ids=["72 terms", "4608 terms"])
def test_sparse4_has_about_four_products(shapes):
    case = conv("sparse4", "float32", 0, shapes)
    inside = exact.forms(case)["output"].terms[:, :, 1:-1, 1:-1]
    assert 2 < inside.mean() < 6


def test_subnormal_products_lie_around_the_smallest_normal():
    """Both sides of it, for every dtype whose products can be that small; operands themselves are normal."""
    for dtype in ("float32", "float64", "bfloat16"):
        form, operands = format_of(dtype), fill("subnormal", SHAPES, Room(dtype, TERMS), 0)
        x, w = np.abs(wide(operands["input"])), np.abs(wide(operands["weight"]))
        assert min(x.min(), w.min()) >= form.smallest_normal
        products = (
            np.ldexp(x.ravel()[:, None], 60) * np.ldexp(w.ravel()[None], 60) / np.ldexp(form.smallest_normal, 120)
        )
        assert (products < 1).mean() > 0.3 and (products > 2.0**-8).mean() > 0.9


def test_a_single_operand_of_the_subnormal_family_is_subnormal_itself():
    x = np.abs(fill("subnormal", {"input": (1, 4, 50)}, Room("float32", 2), 0)["input"])
    assert 0.3 < (x < np.finfo(np.float32).smallest_normal).mean() < 1


@pytest.mark.parametrize("family", ["denseint", "asymX", "asymW"])
def test_the_power_of_two_varies_with_the_seed(family):
    """So that no kernel can know the data by their scale; the bias has the scale of the products."""
    bits = {exact.lowest_bit(wide(fill(family, SHAPES, Room("float32", TERMS), seed)["input"])) for seed in range(30)}
    assert len(bits) > 6


def test_coherent_operands_have_their_low_bits_set():
    """Rounding to 11 bits moves every one of them in the same direction, by as much as it can."""
    x = wide(fill("coherent", SHAPES, Room("float32", TERMS), 0)["input"])
    assert (x % 2.0**-10 == 2.0**-11 - 2.0**-23).all() and x.min() > 0.5


def test_heavy_positive_and_negative_data():
    x = np.abs(wide(fill("heavy", SHAPES, Room("float32", TERMS), 0)["input"]))
    assert x.max() / np.median(x) > 2.0**8
    x = fill("positive", SHAPES, Room("float32", TERMS), 0)["input"]
    assert x.min() >= 0.5 and x.max() <= 1
    assert fill("negative", SHAPES, Room("float32", TERMS), 0)["input"].max() <= -1e6


def test_an_impulse_is_one_element_and_its_bias_nothing():
    operands = fill("impulse", SHAPES, Room("float32", TERMS), 4)
    assert np.count_nonzero(operands["input"]) == operands["input"].sum() == 1
    assert not operands["bias"].any() and operands["weight"].all()


def test_ties_has_windows_with_several_maxima():
    x = fill("ties", {"input": (4, 4, 8, 8)}, Room("float32", 4), 0)["input"]
    assert set(np.unique(x)) == {-2, -1, 0, 1, 2}


def test_complex_data_have_an_imaginary_part_and_exact_sums_stay_exact():
    shapes = {"in1": (9,), "in2": (4,)}
    operands = fill("denseint", shapes, Room("complex64", 4), 0)
    assert operands["in1"].imag.any() and operands["in1"].real.any()
    for seed in SEEDS:
        case = Case(OPERATIONS["convolve"], fill("denseint", shapes, Room("complex64", 4), seed), {}, "complex64")
        assert not any(room.any() for room in bound.allowed(case, Claims()).values())


def test_empty_operands_stay_empty():
    for family in FAMILIES:
        operands = fill(family, {"input": (0, 2, 3), "weight": (2, 2, 1)}, Room("float32", 2), 0)
        assert operands["input"].shape == (0, 2, 3)


def test_an_unknown_family_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="`family` is 'dense', but must be one of asymW, asymX, coherent"):
        fill("dense", SHAPES, Room("float32", 1), 0)
