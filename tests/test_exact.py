"""The exact values against rational arithmetic; windows, maxima and signals against other libraries."""

import ast
import itertools
from fractions import Fraction
from math import prod
from pathlib import Path
from random import Random

import numpy as np
import pytest
import scipy.signal

from refconv import errorfree, exact, families, strategies
from refconv.cover import _bits, _complete
from refconv.dtypes import format_of, numpy_dtype
from refconv.spec import KINDS, OPERATIONS, Case
from refconv.strategies import DTYPES, Scope, plan

torch = pytest.importorskip("torch", reason="pip install 'refconv[torch]'")


def work(case):
    """Roughly how many products the case's largest result sums in all."""
    sizes = [prod(shape) for shape in (*case.shapes.values(), *(a.shape for a in case.operands.values()))]
    w = case.operands.get("weight", case.operands.get("in2"))
    return max(sizes) * (prod(w.shape[1:]) if w is not None else prod(case.pool.kernel_size))


def small_cases(op, count, dtypes=DTYPES):
    """Cases from feasible rows of the operation's design, small enough for rational arithmetic."""
    seed, found = 0, 0
    make = {True: strategies._signal_case}.get(op.rank == 0) or (
        strategies._pool_case if "pool" in op.kind else strategies._conv_case
    )
    while found < count:
        seed += 1
        scope = Scope(pairs=True)
        design = plan(op, scope)
        row = dict(_complete(design, {}, {}, _bits(design), Random(seed)))
        shapes, arguments, terms = make(Random(seed), op, row, scope)
        dtype = dtypes[found % len(dtypes)]
        operands = families.fill(row["family"], shapes, families.Room(dtype, terms), seed)
        case = Case(op, operands, arguments, dtype, row["family"])
        if work(case) <= 20_000:
            found += 1
            yield case


def assert_encloses(case):
    """|value - (high + low)| <= error, in exact arithmetic."""
    truth = exact.rational(case)
    for name, got in exact.values(case).items():
        assert got.high.shape == truth[name].shape
        for index, want in np.ndenumerate(truth[name]):
            high, low, error = (Fraction(float(part[index])) for part in (got.high, got.low, got.error))
            assert abs(want - (high + low)) <= error, (name, index, case)


@pytest.mark.parametrize("kind", KINDS)
def test_values_enclose_the_rational_ones(kind):
    """Every operation of each kind and every dtype, on rows drawn from its covering design."""
    for op in KINDS[kind]:
        for case in small_cases(op, 16 if op.rank < 3 else 8):
            assert_encloses(case)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["normal", "sparse", "wide"])
def test_the_error_is_far_below_one_rounding(kind, dtype):
    """So a bound of a kernel that computes in the operands' format is not blurred by it, where little is summed either;
    and where nothing is summed, the value is exactly zero."""
    rng = np.random.default_rng(0)
    shapes = {"grad_output": (2, 4, 7, 7), "input": (2, 8, 9, 9), "weight": (4, 8, 3, 3)}
    operands = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    for name in operands if kind == "wide" else ():
        operands[name] *= np.exp2(rng.integers(-20, 21, shapes[name]))
    for name in ("grad_output", "input") if kind == "sparse" else ():
        operands[name] *= rng.random(shapes[name]) < 0.02
    case = Case(OPERATIONS["conv2d_backward"], {k: v.astype(dtype) for k, v in operands.items()}, {}, dtype)
    for name, got in exact.values(case).items():
        size = exact.forms(case)[name].magnitude
        assert (got.error <= errorfree.FINE * format_of(dtype).unit_roundoff * size).all()
        assert name == "grad_bias" or got.error.any()
        assert (got.high[size == 0] == 0).all() and (got.error[size == 0] == 0).all()


HARD = {
    "cancellation": lambda rng, shape: (
        np.where(rng.random(shape) < 0.5, 1, -1) * (2.0**30 + rng.standard_normal(shape))
    ),
    "wide": lambda rng, shape: rng.standard_normal(shape) * np.exp2(rng.integers(-500, 501, shape)),
    "small": lambda rng, shape: rng.standard_normal(shape) * np.exp2(rng.integers(-1070, -400, shape)),
    "subnormal": lambda rng, shape: rng.integers(-3, 4, shape) * 5e-324,
    "bits": lambda rng, shape: np.ldexp(2.0**53 - rng.integers(1, 99, shape), rng.integers(-90, 90, shape)),
    "zeros": lambda rng, shape: np.zeros(shape),
}
CALLS = {
    "conv1d": ({"input": (2, 2, 7), "weight": (2, 2, 3), "bias": (2,)}, {"padding": 1, "stride": 2}),
    "conv_transpose1d": ({"input": (1, 2, 4), "weight": (2, 2, 3), "bias": (2,)}, {"stride": 2}),
    "conv1d_backward": ({"grad_output": (2, 2, 5), "input": (2, 2, 7), "weight": (2, 2, 3)}, {}),
    "avg_pool2d": ({"input": (1, 2, 5, 6)}, {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
    "avg_pool2d_backward": (
        {"grad_output": (1, 1, 3, 3), "input": (1, 1, 5, 6)},
        {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
    ),
    "max_pool1d": ({"input": (1, 2, 7)}, {"kernel_size": 3}),
    "max_pool1d_backward": ({"grad_output": (1, 2, 5), "input": (1, 2, 7)}, {"kernel_size": 3, "stride": 1}),
    "convolve": ({"in1": (4, 3), "in2": (2, 5)}, {}),
    "correlate": ({"in1": (9,), "in2": (4,)}, {"mode": "same"}),
}


@pytest.mark.parametrize("data", HARD)
@pytest.mark.parametrize("name", CALLS)
def test_hard_float64_data_are_enclosed(name, data):
    """Sums that cancel to nothing, a thousand binary magnitudes, subnormals, 53 bits set; one operand hard, or all."""
    shapes, arguments = CALLS[name]
    rng = np.random.default_rng(7)
    for hard in (*shapes, None):
        if hard != "bias" and not (hard is None and data == "small"):
            operands = {
                operand: HARD[data if hard in (operand, None) else "cancellation"](rng, shape).astype(np.float64)
                for operand, shape in shapes.items()
            }
            assert_encloses(Case(OPERATIONS[name], operands, arguments, "float64"))


def test_products_that_underflow_are_enclosed():
    """Their exact values lie between the subnormals: the error is at most a few of these."""
    rng = np.random.default_rng(3)
    x, w = (np.ldexp(rng.standard_normal(shape), -540) for shape in ((1, 2, 6), (2, 2, 3)))
    case = Case(OPERATIONS["conv1d"], {"input": x, "weight": w}, {}, "float64")
    assert_encloses(case)
    assert exact.values(case)["output"].error.max() <= 64 * 2.0**-1074


def test_a_division_after_total_cancellation_keeps_its_low_part():
    """high + low of the sum may be all low part; its quotient by 3 is then rounded twice."""
    x = np.array([1.0, 2.0**-60, -1.0]).reshape(1, 1, 3)
    case = Case(OPERATIONS["avg_pool1d"], {"input": x}, {"kernel_size": 3}, "float64")
    assert_encloses(case)
    assert exact.values(case)["output"].high + exact.values(case)["output"].low == 2.0**-60 / 3


def test_an_empty_batch_has_empty_values():
    for name, (shapes, arguments) in CALLS.items():
        if OPERATIONS[name].rank:
            operands = {k: np.zeros((0, *s[1:]) if k in ("input", "grad_output") else s) for k, s in shapes.items()}
            case = Case(OPERATIONS[name], operands, arguments, "float64")
            assert {k: v.high.shape for k, v in exact.values(case).items()} == case.shapes


# --------------------------------------------------------------------------------------------- other libraries


def pool_case(name, x, **arguments):
    return Case(OPERATIONS[name], {"input": x}, arguments, "float64")


POOLS = list(itertools.product((1, 2, 5, 6), (1, 2, 3, 4), (1, 2, 3, 5), (0, 1, 2), (False, True)))


def legal(n, k, s, p, ceil):
    return 2 * p <= k and n + 2 * p >= k


@pytest.mark.parametrize("include", [True, False])
def test_window_counts_are_what_torch_divides_by(include):
    """Its sum over its mean; cells of the padding count or not, those beyond it never do."""
    for n, k, s, p, ceil in filter(lambda row: legal(*row), POOLS):
        ones = torch.arange(1.0, 2 * n + 1).reshape(1, 1, 2, n).double()
        total = torch.nn.functional.avg_pool2d(ones, (1, k), (1, s), (0, p), ceil, include, divisor_override=1)
        mean = torch.nn.functional.avg_pool2d(ones, (1, k), (1, s), (0, p), ceil, include)
        case = pool_case("avg_pool2d", ones.numpy(), kernel_size=(1, k), stride=(1, s), padding=(0, p),
                         ceil_mode=ceil, count_include_pad=include)  # fmt: skip
        counts = exact.window_counts(case)
        assert np.array_equal(np.rint((total / mean).numpy()[0, 0]), np.broadcast_to(counts, total.shape[2:]))


def maxima(rng, shape, kind):
    if kind == "ties":
        return rng.integers(-1, 2, shape).astype(float)
    x = rng.standard_normal(shape)
    if kind == "nan":
        x[rng.random(shape) < 0.2] = np.nan
    if kind == "infinite":
        x[rng.random(shape) < 0.7] = -np.inf
    return x


@pytest.mark.parametrize("kind", ["plain", "ties", "nan", "infinite"])
def test_selection_is_that_of_torch(kind):
    """First of tied maxima, last of several NaN, first element of a window that is all minus infinity."""
    rng = np.random.default_rng(5)
    for n, k, s, p, ceil in filter(lambda row: legal(*row), POOLS):
        for d in (1, 2):
            if n + 2 * p < d * (k - 1) + 1 or n < d:
                continue
            x = maxima(rng, (2, 2, n + 1, n), kind)
            kernel, pad = (min(2, k), k), (0, p)
            arguments = {"kernel_size": kernel, "stride": s, "padding": pad, "dilation": (1, d), "ceil_mode": ceil}
            case = pool_case("max_pool2d", x, **arguments)
            best, where = torch.nn.functional.max_pool2d(torch.tensor(x), kernel, s, pad, (1, d), ceil, True)
            np.testing.assert_array_equal(exact.window_maximum(case), best.numpy())
            g = np.ones(best.shape)
            chosen = exact.selection(
                Case(OPERATIONS["max_pool2d_backward"], {"grad_output": g, "input": x}, arguments, "float64")
            )
            assert (chosen.sum(axis=(2, 3)) == 1).all()
            rows = np.arange(best.shape[2]) * s
            columns = np.arange(best.shape[3]) * s - p
            a, b = np.indices(kernel).reshape(2, *kernel, 1, 1)
            index = (a + rows[:, None]) * n + b * d + columns
            np.testing.assert_array_equal((chosen * index).sum(axis=(2, 3)), where.numpy())


def test_tie_range_is_attained_by_both_ends():
    x = np.array([[[1.0, 1.0, 0.0, 2.0]]])
    g = np.array([[[3.0, -5.0]]])
    case = Case(OPERATIONS["max_pool1d_backward"], {"grad_output": g, "input": x}, {"kernel_size": 2}, "float64")
    low, high = exact.tie_range(case)
    np.testing.assert_array_equal(low, [[[0, 0, 0, -5]]])
    np.testing.assert_array_equal(high, [[[3, 3, 0, -5]]])


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("name", ["convolve", "correlate"])
@pytest.mark.parametrize("dtype", ["float64", "complex128", "int64"])
def test_signals_are_those_of_scipy(name, mode, dtype):
    """Small integers, on which scipy is exact; either operand the larger one; odd and even sizes."""
    rng = np.random.default_rng(2)
    for size1, size2 in itertools.product([(1,), (4,), (5,), (3, 4), (2, 2), (5, 3)], repeat=2):
        if len(size1) != len(size2):
            continue
        in1, in2 = (rng.integers(-9, 10, (2, *size)).astype(float) for size in (size1, size2))
        a, b = (v[0] + 1j * v[1] if dtype == "complex128" else v[0].astype(dtype) for v in (in1, in2))
        case = Case(OPERATIONS[name], {"in1": a, "in2": b}, {"mode": mode}, dtype)
        try:
            want = getattr(scipy.signal, name)(a, b, mode, method="direct")
        except ValueError:
            continue
        got = {part: value.high + value.low for part, value in exact.values(case).items()}
        joined = got["output.real"] + 1j * got["output.imag"] if dtype == "complex128" else got["output"]
        np.testing.assert_array_equal(joined, want)


# ---------------------------------------------------------------------------------------------------- the parts


@pytest.mark.parametrize(
    ("values", "bit"), [([6.0, 0.75], 0.25), ([0.0, -8.0], 8.0), ([5e-324], 5e-324), ([0.0], np.inf), ([3e300], None)]
)
def test_lowest_bit(values, bit):
    found = exact.lowest_bit(np.array(values))
    assert found == bit if bit else Fraction(values[0]) % Fraction(found) == 0


def test_the_norms_are_those_of_the_definition():
    """The sum over channels of |a_c| |b_c|, for each result of a grouped convolution."""
    rng = np.random.default_rng(0)
    x, w, g = rng.standard_normal((2, 4, 5)), rng.standard_normal((6, 2, 3)), rng.standard_normal((2, 6, 3))
    case = Case(OPERATIONS["conv1d_backward"], {"grad_output": g, "input": x, "weight": w}, {"groups": 2}, "float64")
    forms = exact.forms(case)
    size = [np.linalg.norm(v, axis=2) for v in (x, w, g)]
    for n, o, c in np.ndindex(2, 6, 2):
        assert forms["grad_weight"].norms()[o, c, 0] >= size[2][n, o] * size[0][n, 2 * (o // 3) + c]
    whole = sum(size[2][0, o] * size[1][o, 1] for o in (3, 4, 5))
    assert abs(forms["grad_input"].norms()[0, 3, 0] - whole) < 1e-12


@pytest.mark.parametrize(
    ("module", "knows"), [(exact, {"dtypes", "errorfree", "spec"}), (errorfree, {"dtypes"})], ids=["exact", "errorfree"]
)
def test_exact_imports_nothing_of_what_it_judges(module, knows):
    """Neither the algorithms nor the public functions built on them; only formats and geometry."""
    tree = ast.parse(Path(module.__file__).read_text())
    named = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    named |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {name for name in named if name.startswith("refconv")} == {f"refconv.{name}" for name in knows}


def test_values_take_bfloat16_as_it_is():
    x = np.array([[[1.0078125, 3.0]]]).astype(numpy_dtype("bfloat16"))
    case = Case(OPERATIONS["conv1d"], {"input": x, "weight": x}, {}, "bfloat16")
    assert exact.values(case)["output"].high.item() == 1.0078125**2 + 9
