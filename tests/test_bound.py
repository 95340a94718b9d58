"""The bounds: never below the error of a correct kernel, attained, and too small for a kernel of a weaker class."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.signal

import refconv
from refconv import bound, exact, judge
from refconv.algorithms.winograd import transform_matrices
from refconv.claims import Claims, parse_winograd
from refconv.dtypes import FORMATS, Format, numpy_dtype
from refconv.exact import Form
from refconv.families import FAMILIES, Room, fill
from refconv.judge import Violation
from refconv.spec import OPERATIONS, Case

F32 = FORMATS["float32"]
TOYS = [Format("toy3", 3, -60, 60), Format("toy4", 4, -60, 60)]
SHALLOW = Format("shallow", 3, -2, 60)  # whose products underflow
DEEP = Format("deep", 3, -126, 127)  # in which subnormals may be flushed


def room_of(form, acc, claims=None):
    return bound._Direct(claims or Claims(), form, acc).bound()


# -------------------------------------------------------------------------- exhaustively, in formats of a few bits


def dot(a, b):
    return (a * b).sum(axis=-1)


def operands(form, exponents, signs=(1, -1)):
    """Every number of the format in the given binades."""
    mantissas = np.arange(2 ** (form.precision - 1), 2**form.precision) * 2.0 ** (1 - form.precision)
    return np.array([s * m * 2.0**e for s in signs for e in exponents for m in mantissas])


def every(first, second, terms):
    """All choices of `terms` pairs, one from each list: two arrays (choices, terms)."""
    pairs = np.array(list(itertools.product(first, second)))
    index = np.indices((len(pairs),) * terms).reshape(terms, -1).T
    return pairs[index][..., 0], pairs[index][..., 1]


def kernels(form, a, b, flush=0.0):
    """Results of correct direct kernels in a format: every order of two trees, products rounded or fused.

    Numbers below `flush` become zero wherever they arise.
    """

    def kept(v):
        v = form.round(v)
        return np.where(np.abs(v) < flush, 0.0, v)

    a, b = kept(a), kept(b)
    products = [a[:, i] * b[:, i] for i in range(a.shape[1])]
    for order in itertools.permutations(products):
        chain = fused = kept(order[0])
        for p in order[1:]:
            chain, fused = kept(chain + kept(p)), kept(fused + p)
        yield chain
        yield fused
        if len(order) == 4:
            left, right = (kept(kept(p) + kept(q)) for p, q in (order[:2], order[2:]))
            yield kept(left + right)


@pytest.mark.parametrize("form", TOYS, ids=lambda f: f.name)
@pytest.mark.parametrize("terms", [1, 2, 3])
def test_no_order_of_a_short_dot_product_exceeds_the_bound(form, terms):
    """All operands of a few binades; with and without fused products; some order attains more than half of it."""
    binades = {1: range(-2, 3), 2: (-2, 0, 1) if form.precision == 3 else (-1, 0), 3: (0,)}[terms]
    first = operands(form, binades, (1,) if terms > 1 else (1, -1))
    a, b = every(first, operands(form, (0,)) if terms < 3 else operands(form, (0,))[::2], terms)
    room, truth = room_of(Form(dot, a, b, form.precision), form), dot(a, b)
    assert (room > 0).all()
    worst = max((np.abs(got - truth) / room).max() for got in kernels(form, a, b))
    assert 0.5 < worst <= 1


def test_sums_of_exact_products_attain_the_bound():
    """No rounding of products: a sum just above a power of two loses half a unit, all that the bound gives."""
    form = TOYS[1]
    a, b = every(operands(form, (-4, -3, 0)), [1.0], 2)
    wide = Form(dot, a, b, 2)  # two bits each: their products are exact in four
    room = room_of(wide, form)
    worst = max((np.abs(got - dot(a, b)) / room).max() for got in kernels(form, a, b))
    assert 0.9 < worst <= 1


@pytest.mark.parametrize("form", TOYS, ids=lambda f: f.name)
def test_four_terms_in_every_order_and_as_a_tree(form):
    rng = np.random.default_rng(0)
    numbers = operands(form, (-3, -1, 0, 2))
    a, b = rng.choice(numbers, (2, 20_000, 4))
    room = room_of(Form(dot, a, b, form.precision), form)
    for got in kernels(form, a, b):
        assert (np.abs(got - dot(a, b)) <= room).all()


def test_products_that_underflow_gradually_stay_within_the_bound():
    """Every product of numbers around the smallest normal, in two terms: half a subnormal is lost at each."""
    numbers = np.unique(np.concatenate([operands(SHALLOW, (-2, -1)), [1 / 16, 1 / 8, -3 / 16]]))
    a, b = every(numbers, numbers[::3], 2)
    room = room_of(Form(dot, a, b, 3), SHALLOW)
    worst = max((np.abs(got - dot(a, b)) / room).max() for got in kernels(SHALLOW, a, b))
    assert 0.5 < worst <= 1


def test_flushed_operands_products_and_sums_stay_within_the_bound():
    """Where subnormals may be flushed; and they do not where they must be kept."""
    tiny = DEEP.smallest_normal
    numbers = np.unique(np.concatenate([operands(DEEP, (-126, -125)), tiny * np.array([0.25, 0.75, -0.5])]))
    a, b = every(numbers, [0.25, 0.5, -0.75, 1.0, 2.0, -2.5], 2)
    form = Form(dot, a, b, 3)
    results = list(kernels(DEEP, a, b, flush=tiny))
    for claim in ("either", "ftz"):
        room = room_of(form, DEEP, Claims(subnormals=claim))
        assert all((np.abs(got - dot(a, b)) <= room).all() for got in results)
    strict = room_of(form, DEEP, Claims(subnormals="ieee"))
    assert any((np.abs(got - dot(a, b)) > strict).any() for got in results)
    assert all((np.abs(got - dot(a, b)) <= strict).all() for got in kernels(DEEP, a, b))


@pytest.mark.parametrize("form", [*TOYS, SHALLOW], ids=lambda f: f.name)
@pytest.mark.parametrize("divisor", [2, 3, 5, 7])
def test_averages_stay_within_the_bound(form, divisor):
    """Divided, or multiplied by the rounded reciprocal, after the sum or before it; also windows with one number."""
    numbers = operands(form, (-2, -1, 0) if form is SHALLOW else (-1, 0, 3))
    numbers = np.unique(np.concatenate([numbers, [0.0, form.smallest_normal * 0.75]]))
    x = np.array(list(itertools.product(numbers, numbers[::2], numbers[::5])))
    average = Form(lambda a, b: (a * b).sum(axis=-1), x, np.ones(()), form.precision, divisor=divisor,
                   term_roundings=0, final_roundings=2)  # fmt: skip
    room, truth = room_of(average, form) / divisor, x.sum(axis=-1) / divisor
    reciprocal = form.round(np.array(1 / divisor))
    for order in itertools.permutations(range(3)):
        total = form.round(form.round(x[:, order[0]] + x[:, order[1]]) + x[:, order[2]])
        shares = [[form.round(x[:, i] / divisor) for i in order], [form.round(x[:, i] * reciprocal) for i in order]]
        results = [form.round(total / divisor), form.round(total * reciprocal)]
        results += [form.round(form.round(p + q) + r) for p, q, r in shares]
        for got in results:
            assert (np.abs(got - truth) <= room + 1e-15 * np.abs(truth)).all()


@pytest.mark.parametrize("counts", [(3, 3, 3), (2, 3, 6), (1, 2, 3), (5, 3, 1)], ids=str)
def test_gradients_of_averages_stay_within_the_bound(counts):
    """Each term divided by its own count before it is summed, so that the sums lie in other binades."""
    form = TOYS[0]
    common = int(np.lcm.reduce(counts))
    numbers = operands(form, (-1, 0, 1))
    g = np.array(list(itertools.product(numbers, numbers[::2], numbers[::3])))
    share = common / np.array(counts, float)
    gradient = Form(dot, g, share, form.precision, divisor=common, term_roundings=2)
    room, truth = room_of(gradient, form) / common, (g / counts).sum(axis=-1)
    for order in itertools.permutations(range(3)):
        for terms in (form.round(g / counts), form.round(g * form.round(1 / np.array(counts, float)))):
            p, q, r = (terms[:, i] for i in order)
            got = form.round(form.round(p + q) + r)
            assert (np.abs(got - truth) <= room * (1 + 1e-14)).all()
        if len(set(counts)) == 1:
            total = form.round(form.round(g[:, order[0]] + g[:, order[1]]) + g[:, order[2]])
            assert (np.abs(form.round(total / counts[0]) - truth) <= room * (1 + 1e-14)).all()


def test_averages_may_be_taken_axis_by_axis():
    """Three reciprocals and three products round more than one division does, and a seventh rounding is too much."""
    cells, kernel = np.random.default_rng(0).uniform(1, 2, 4000).astype(np.float32), (3, 5, 7)
    x = np.zeros((len(cells), 1, *kernel), np.float32)
    x[:, 0, 0, 0, 0] = cells
    case = Case(OPERATIONS["avg_pool3d"], {"input": x}, {"kernel_size": kernel}, "float32")
    got = cells
    for k in kernel:
        got = got * np.float32(1 / np.float32(k))
    got = got.reshape(-1, 1, 1, 1, 1)
    judge.within({"output": got}, case, Claims())
    form = exact.forms(case)["output"]
    error = np.abs(got - exact.value(form).high)
    two = bound.allowed(case, Claims(), {"output": replace(form, final_roundings=2)})["output"]
    six = bound.allowed(case, Claims())["output"]
    assert (error > two).any() and (error > six * 0.5).any()
    with pytest.raises(Violation):
        judge.within({"output": got * np.float32(1 + 2.0**-21)}, case, Claims())


def test_sums_of_quotients_may_lie_in_a_higher_binade_than_the_quotient_of_the_sum():
    """3/3 plus nineteen halves of its last unit, all of them lost: 19 u, while 3 lies two thirds into its binade."""
    form, u = FORMATS["bfloat16"], 2.0**-8
    g = np.array([[3.0, *[3 * u] * 19]])
    gradient = Form(dot, g, np.ones(20), 8, divisor=3, term_roundings=2)
    total = form.round(g[:, 0] / 3)
    for i in range(1, 20):
        total = form.round(total + form.round(g[:, i] / 3))
    assert total.item() == 1 and dot(g, 1 / 3).item() - 1 > 18.9 * u
    assert dot(g, 1 / 3).item() - 1 <= room_of(gradient, form).item() / 3 < 25 * u


# ------------------------------------------------------------------------------------------------ certificate


def test_nothing_is_allowed_exactly_where_no_partial_sum_can_round():
    """Integers in four bits: zero where the absolute products add up to less than 16; no order errs there, and
    where they add up to more, some do."""
    form = TOYS[1]
    a, b = every(np.arange(-3.0, 4), [1.0, 2.0, 3.0], 3)
    sums, room = np.abs(a * b).sum(axis=-1), room_of(Form(dot, a, b, 4), form)
    assert ((room == 0) == (sums < 16)).all()
    wrong = np.any([got != dot(a, b) for got in kernels(form, a, b)], axis=0)
    assert not wrong[room == 0].any() and wrong[room > 0].any()


def conv(x, w, bias=None, dtype="float32", **arguments):
    given = {"input": x, "weight": w} | ({} if bias is None else {"bias": bias})
    given = {name: np.asarray(array).astype(numpy_dtype(dtype)) for name, array in given.items()}
    return Case(OPERATIONS[f"conv{np.ndim(x) - 2}d"], given, arguments, dtype)


def one(x, w, bias=None, dtype="float32", **claims):
    """What is allowed of one dot product."""
    case = conv([[x]], [[w]], None if bias is None else [bias], dtype)
    return bound.allowed(case, Claims(**claims))["output"].item()


CERTIFIED = [
    ("integers", one, ((1, 2, 3), (4, 5, 6)), {}, True),
    ("sum of 2^24 - 1", one, ((2.0**23, 2.0**23 - 1), (1, 1)), {}, True),
    ("sum of 2^24", one, ((2.0**23, 2.0**23 - 1, 1), (1, 1, 1)), {}, False),
    ("sum of 2^24 that cancels", one, ((2.0**23, 1 - 2.0**23, -1), (1, 1, 1)), {}, False),
    ("fractions of one unit", one, ((0.5, 0.25), (0.125, 3)), {}, True),
    ("a bias of a finer unit", one, ((2.0**20,), (1,), 2.0**-4), {}, False),
    ("a bias that fits", one, ((2.0**20,), (1,), 2.0**-3), {}, True),
    ("no products", one, ((0.0, 0.0), (1.1, 1.1)), {}, True),
    ("a product of 48 bits", one, ((1.1,), (1.1,)), {}, False),
    ("float64", one, ((2.0**30, 1), (2.0**20, 1), None, "float64"), {}, True),
    ("float64 of 54 bits", one, ((2.0**53, 1), (1, 1), None, "float64"), {}, False),
    ("bfloat16", one, ((255, 1), (255, 1), None, "bfloat16"), {}, True),
    ("rounded operands", one, ((1, 2, 3), (4, 5, 6)), {"input_rounding": "tf32"}, False),
    ("a float16 accumulator, 12 bits", one, ((1024, 1025), (1, 1)), {"accumulate": "float16"}, False),
    ("a float16 accumulator, 11 bits", one, ((1024, 1023), (1, 1)), {"accumulate": "float16"}, True),
    ("a tensor core", one, ((2.0**23, 2.0**23 - 1), (1, 1)), {"accumulate": "tensor-core"}, True),
    ("an operand that may be flushed", one, ((2.0**-130,), (1024,)), {}, False),
    ("an operand that is kept", one, ((2.0**-130,), (1024,)), {"subnormals": "ieee"}, True),
    ("a product that may be flushed", one, ((2.0**-70,), (2.0**-60,)), {}, False),
    ("a product that is kept", one, ((2.0**-70,), (2.0**-60,)), {"subnormals": "ieee"}, True),
    ("a product that is lost", one, ((2.0**-80,), (2.0**-80,)), {"subnormals": "ieee"}, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "given", "claims", "nothing"), [r[1:] for r in CERTIFIED], ids=[r[0] for r in CERTIFIED]
)
def test_certificate(call, given, claims, nothing):
    assert (call(*given, **claims) == 0) == nothing


def test_an_average_is_certified_only_by_a_power_of_two():
    for kernel, nothing in ((2, True), (3, False), (4, True)):
        case = Case(OPERATIONS["avg_pool1d"], {"input": np.ones((1, 1, 12), "f4")}, {"kernel_size": kernel}, "float32")
        assert (bound.allowed(case, Claims())["output"] == 0).all() == nothing


def test_a_maximum_allows_nothing_and_an_empty_batch_neither():
    case = Case(OPERATIONS["max_pool1d"], {"input": np.ones((1, 1, 4), "f4")}, {"kernel_size": 2}, "float32")
    assert not bound.allowed(case, Claims())["output"].any()
    assert bound.allowed(conv(np.ones((0, 1, 3)), np.ones((1, 1, 2))), Claims())["output"].shape == (0, 1, 2)


# ------------------------------------------------------------------------------- correct kernels in float32


def matrix_case(family, terms, dtype="float32", bias=False, seed=0, outputs=4, positions=12):
    """A 1x1 convolution: each output is one dot product of `terms` terms."""
    shapes = {"input": (1, terms, positions), "weight": (outputs, terms, 1)} | ({"bias": (outputs,)} if bias else {})
    return Case(OPERATIONS["conv1d"], fill(family, shapes, Room(dtype, terms), seed), {}, dtype, family)


def factors(case):
    """x (1, positions, terms), w (outputs, 1, terms)."""
    return np.swapaxes(case.operands["input"], 1, 2), case.operands["weight"].transpose(0, 2, 1)


def in_order(products):
    return np.cumsum(products, axis=-1, dtype=np.float32)[..., -1]


def pairwise(products):
    while products.shape[-1] > 1:
        if products.shape[-1] % 2:
            products = np.concatenate([products, np.zeros_like(products[..., :1])], axis=-1)
        products = products[..., ::2] + products[..., 1::2]
    return products[..., 0]


def fused(x, w):
    total = np.zeros(np.broadcast_shapes(x.shape, w.shape)[:-1], np.float32)
    for i in range(x.shape[-1]):
        total = (total + x[..., i].astype(np.float64) * w[..., i]).astype(np.float32)
    return total


def blocked(products, size):
    return in_order(np.stack([in_order(products[..., i : i + size]) for i in range(0, products.shape[-1], size)], -1))


def correct(x, w):
    """Results of correct kernels: other orders and trees of the same rounded products, and fused ones."""
    products = x * w
    order = np.random.default_rng(0).permutation(products.shape[-1])
    yield in_order(products)
    yield in_order(products[..., ::-1])
    yield in_order(products[..., order])
    yield pairwise(products)
    yield blocked(products, 32)
    yield in_order(np.stack([in_order(products[..., i::4]) for i in range(min(4, products.shape[-1]))], -1))
    yield fused(x, w)
    yield (x.astype(np.float64) * w).sum(axis=-1).astype(np.float32)
    yield np.matmul(w[:, 0], x[0].T)


@pytest.mark.parametrize("terms", [1, 3, 27, 576, 4608])
@pytest.mark.parametrize("family", FAMILIES)
def test_correct_float32_kernels_are_never_convicted(family, terms):
    """Backwards, shuffled, pairwise, blocked, split, fused: all families, sums of up to 4608 terms."""
    case = matrix_case(family, terms, seed=terms)
    for result in correct(*factors(case)):
        assert judge.within({"output": result[None]}, case, Claims()) <= 1
        assert judge.within({"output": result[None]}, case, Claims(subnormals="ieee")) <= 1


@pytest.mark.skipif(np.finfo(np.longdouble).nmant != 63, reason="this machine has no 64-bit significand")
def test_sums_carried_in_a_wider_format_are_rounded_twice():
    """x87 rounds 1 + 2^-52 + (2^-53 - 2^-70) to a tie, then the tie away: above half a unit, and correct."""
    x, w, b = np.full((1, 1, 1), 2.0**-53 - 2.0**-70), np.ones((1, 1, 1)), np.array([1 + 2.0**-52])
    case = Case(OPERATIONS["conv1d"], {"input": x, "weight": w, "bias": b}, {}, "float64")
    wide = (x.astype(np.longdouble) * w + b).astype(np.float64)
    assert wide.item() == 1 + 2.0**-51
    share = judge.within({"output": wide}, case, Claims())
    assert 1 - 2.0**-11 < share <= 1
    with pytest.raises(Violation):
        judge.within({"output": wide + 2.0**-52}, case, Claims())


def test_compensated_sums_are_correct():
    """Kahan's: a zero behind two terms adds what their sum is believed to have lost."""
    rng = np.random.default_rng(0)
    x, w = rng.uniform(-1, 1, (20_000, 1, 2)).astype(np.float32), np.float32([[[1.154933, -0.7749416, 0]]])
    case = Case(OPERATIONS["conv1d"], {"input": x, "weight": w}, {"padding": ((0, 1),)}, "float32")
    first, second = x[..., :1] * w[..., 0], x[..., 1:] * w[..., 1]
    total = first + second
    got = total - ((total - first) - second)  # the third term is zero
    judge.within({"output": got}, case, Claims())
    form = exact.forms(case)["output"]
    plain = bound.allowed(case, Claims(), {"output": replace(form, taps=0)})["output"]
    error = np.abs(got - exact.value(form).high)
    assert (error > plain).any()
    with pytest.raises(Violation):
        judge.within({"output": got * np.float32(1 + 2.0**-21)}, case, Claims())


def test_a_bias_is_one_summand_more():
    """First or last; nearly attained on sparse data."""
    for seed, family in itertools.product(range(4), ("sparse4", "normal", "heavy")):
        case = matrix_case(family, 30, bias=True, seed=seed)
        x, w = factors(case)
        first = np.broadcast_to(case.operands["bias"][:, None, None], (4, 12, 1))
        for result in (in_order(np.concatenate([first, x * w], -1)), in_order(x * w) + first[..., 0]):
            assert judge.within({"output": result[None]}, case, Claims()) <= 1


def test_the_float32_bound_is_nearly_attained():
    """By products and sums of two: no bound that depends on S and n alone can be much smaller."""
    worst = 0.0
    for seed in range(6):
        case = matrix_case("normal", 2, seed=seed, outputs=40, positions=100)
        x, w = factors(case)
        worst = max(worst, judge.within({"output": in_order(x * w)[None]}, case, Claims()))
    assert 0.9 < worst <= 1


def wrong(result, case, claims=None, name="output"):
    try:
        judge.within({name: result}, case, claims or Claims())
    except Violation:
        return True
    return False


# ---------------------------------------------------------------------------------------------- transform classes


def winograd(x, w, m, padding=1):
    """F(m x m, 3 x 3) in float32, tiles from the output's origin; x (N, C, H, W), w (O, C, 3, 3)."""
    at, g, bt = (np.array([[float(v) for v in row] for row in part], np.float32) for part in transform_matrices(m, 3))
    at, bt = at.T, bt.T
    size = [n + 2 * padding - 2 for n in x.shape[2:]]
    tiles = [-(-n // m) for n in size]
    padded = np.zeros((*x.shape[:2], *(t * m + 2 for t in tiles)), np.float32)
    padded[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]] = x
    out = np.zeros((len(x), len(w), *(t * m for t in tiles)), np.float32)
    u = g @ w @ g.T  # (O, C, t, t)
    for i, j in itertools.product(*map(range, tiles)):
        d = padded[:, :, i * m : i * m + m + 2, j * m : j * m + m + 2]
        v = bt @ d @ bt.T  # (N, C, t, t)
        total = (u[None] * v[:, None]).sum(axis=2)
        out[:, :, i * m : i * m + m, j * m : j * m + m] = at @ total @ at.T
    return out[:, :, : size[0], : size[1]]


def image_case(family, seed=0, channels=6, size=(13, 10), dtype="float32"):
    shapes = {"input": (1, channels, *size), "weight": (4, channels, 3, 3)}
    operands = fill(family, shapes, Room(dtype, 9 * channels), seed)
    return Case(OPERATIONS["conv2d"], operands, {"padding": 1}, dtype, family)


@pytest.mark.parametrize("m", [2, 4, 6])
def test_winograd_is_inside_its_class_and_outside_the_direct_one(m):
    """All families inside; on sparse data a sum of nothing is not zero, which no direct kernel gives."""
    for family in FAMILIES:
        for seed in range(2):
            case = image_case(family, seed)
            result = {"output": winograd(*case.operands.values(), m)}
            assert judge.within(result, case, Claims(algorithm=f"winograd({m},3)")) <= 1
    case = image_case("sparse4")
    assert wrong(winograd(*case.operands.values(), m), case)


def test_larger_tiles_are_outside_the_class_of_smaller_ones():
    case = image_case("sparse4")
    assert wrong(winograd(*case.operands.values(), 6), case, Claims(algorithm="winograd(2,3)"))


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv2d_backward", "conv_transpose2d"])
def test_our_winograd_is_inside_the_class_it_uses(name):
    """Forward, transposed and all gradients."""
    rank = OPERATIONS[name].rank
    for family, size in itertools.product(("normal", "sparse4", "denseint", "subnormal"), (5, 30)):
        x, w = (1, 4, *(size,) * rank), (4, 4, *(3,) * rank)
        shapes = {"input": x, "weight": w}
        if name.endswith("backward"):
            shapes = {"grad_output": x, **shapes}
        operands = fill(family, shapes, Room("float32", 4 * 3**rank), 1)
        case = Case(OPERATIONS[name], operands, {"padding": 1}, "float32", family)
        claims = Claims(algorithm="winograd(4,3)")
        results = getattr(refconv, name)(*operands.values(), padding=1, method="winograd")
        named = zip(case.shapes, results if isinstance(results, tuple) else (results,), strict=True)
        assert judge.within(dict(named), case, claims) <= 1


def test_the_gradient_of_the_weight_by_winograd_has_a_class_of_its_own():
    """Not the direct one, nor one so wide that a half-precision result lies in it; nothing at all without images."""
    shapes = {"grad_output": (1, 4, 30, 30), "input": (1, 4, 30, 30), "weight": (4, 4, 3, 3)}
    operands = fill("sparse4", shapes, Room("float32", 900), 1)
    case = Case(OPERATIONS["conv2d_backward"], operands, {"padding": 1}, "float32", "sparse4")
    _, grad, _ = refconv.conv2d_backward(*operands.values(), padding=1, method="winograd")
    claims = Claims(algorithm="winograd(4,3)")
    assert not wrong(grad, case, claims, name="grad_weight")
    assert wrong(grad, case, name="grad_weight")
    assert wrong(grad.astype("float16").astype("float32"), case, claims, name="grad_weight")
    empty = case.with_operands(grad_output=operands["grad_output"][:0], input=operands["input"][:0])
    assert not bound.allowed(empty, claims)["grad_weight"].any()


def test_a_claimed_winograd_that_cannot_compute_the_call_is_held_to_the_direct_class():
    for arguments in ({"stride": 2}, {"dilation": 2}):
        case = conv(np.ones((1, 1, 9)) * 1.1, np.ones((1, 1, 3)) * 1.3, **arguments)
        direct, claimed = (bound.allowed(case, Claims(algorithm=a))["output"] for a in ("direct", "winograd(2,3)"))
        assert (direct == claimed).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_transforms_are_inside_the_fft_class_and_outside_the_direct_one(dtype):
    """scipy's and ours; two and one axes; every family."""
    for family in FAMILIES:
        operands = fill(family, {"in1": (30, 21), "in2": (5, 6)}, Room(dtype, 30), 3)
        for mode in ("full", "same", "valid"):
            case = Case(OPERATIONS["convolve"], operands, {"mode": mode}, dtype, family)
            for result in (
                scipy.signal.fftconvolve(*operands.values(), mode),
                refconv.convolve(*operands.values(), mode, method="fft"),
            ):
                assert result.dtype == dtype
                assert judge.within({"output": result}, case, Claims(algorithm="fft")) <= 1
    operands = fill("sparse4", {"in1": (30, 21), "in2": (5, 6)}, Room(dtype, 30), 3)
    assert wrong(scipy.signal.fftconvolve(*operands.values()), Case(OPERATIONS["convolve"], operands, {}, dtype))


@pytest.mark.parametrize("family", FAMILIES)
def test_our_fft_convolution_is_inside_its_class(family):
    case = image_case(family, channels=5, size=(20, 17))
    result = refconv.conv2d(*case.operands.values(), padding=1, method="fft")
    assert judge.within({"output": result}, case, Claims(algorithm="fft")) <= 1


# ------------------------------------------------------------------- tensor cores, rounded operands, epilogues


def truncate(values, bits):
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.trunc(np.ldexp(mantissa, bits)), exponent - bits)


def tensor_core(x, w, block, fraction=23):
    """Blocks of exact products and the running sum aligned to the largest, truncated, added, truncated to 24 bits."""
    products = x.astype(np.float64) * w.astype(np.float64)
    total = np.zeros(products.shape[:-1])
    for i in range(0, products.shape[-1], block):
        addends = np.concatenate([total[..., None], products[..., i : i + block]], axis=-1)
        top = np.frexp(np.abs(addends).max(axis=-1, keepdims=True))[1]
        aligned = np.trunc(np.ldexp(addends, fraction + 1 - top)).sum(axis=-1)
        total = truncate(np.ldexp(aligned, top[..., 0] - fraction - 1), 24)
    return total


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_truncating_block_sums_are_a_class_of_their_own(dtype):
    """Within `tensor-core` on every family and for every block length; beyond round-to-nearest somewhere."""
    exceeds, attained = False, 0.0
    for family, terms, block, seed in itertools.product(FAMILIES, (4, 27, 576), (1, 4, 8, 16), range(2)):
        case = matrix_case(family, terms, dtype, seed=seed)
        form = exact.forms(case)["output"]
        got = tensor_core(*factors(case), block)[None]
        error = np.abs(got - form.operator(form.a, form.b))
        slack = 2.0**-50 * form.magnitude  # of the float64 sums that stand for the exact value
        room = room_of(form, F32, Claims(accumulate="tensor-core"))
        assert (error <= room + np.where(room > 0, slack, 0)).all()
        exceeds |= bool((error > room_of(form, F32) + slack).any())
        attained = max(attained, (error[room > 0] / room[room > 0]).max(initial=0))
    assert exceeds and attained > 0.1


def rounded(values, to, way):
    """To 11 (tf32) or 8 (bf16) bits: to nearest or toward zero."""
    wide = values.astype(np.float64)
    if way == "nearest":
        return FORMATS[{"tf32": "tf32", "bf16": "bfloat16"}[to]].round(wide).astype(np.float32)
    kept = values.view(np.uint32) & np.uint32(0xFFFFE000 if to == "tf32" else 0xFFFF0000)
    return kept.view(np.float32)


@pytest.mark.parametrize("to", ["tf32", "bf16"])
@pytest.mark.parametrize("way", ["nearest", "toward zero"])
def test_rounded_operands_are_inside_when_claimed_and_outside_when_not(to, way):
    """Subnormal operands too, which lose all their bits."""
    for family, terms in itertools.product(FAMILIES, (1, 27, 576)):
        case = matrix_case(family, terms, seed=terms)
        x, w = (rounded(np.ascontiguousarray(v), to, way) for v in factors(case))
        for claims in (Claims(input_rounding=to), Claims(input_rounding=to, subnormals="ieee")):
            assert judge.within({"output": in_order(x * w)[None]}, case, claims) <= 1
    for family in ("sparse4", "asymX", "asymW", "coherent"):
        case = matrix_case(family, 27)
        x, w = (rounded(np.ascontiguousarray(v), to, way) for v in factors(case))
        assert wrong(in_order(x * w)[None], case)
    if to == "bf16":
        case = matrix_case("sparse4", 27)
        x, w = (rounded(np.ascontiguousarray(v), to, way) for v in factors(case))
        assert wrong(in_order(x * w)[None], case, Claims(input_rounding="tf32"))


def test_subnormal_operands_may_be_lost_by_rounding():
    """2^-140 has no bits left in TF32; its product with 2^60 is then missing altogether."""
    case = conv([[[2.0**-140, 1.0]]], [[[2.0**60, 1.0]]])
    lost = {"output": np.array([[[1.0]]], np.float32)}
    assert judge.within(lost, case, Claims(input_rounding="tf32", subnormals="ieee")) <= 1
    case = conv([[[2.0**-140]]], [[[2.0**60]]])
    assert (
        judge.within({"output": np.zeros((1, 1, 1), "f4")}, case, Claims(input_rounding="tf32", subnormals="ieee")) <= 1
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_separate_epilogue_is_inside_when_claimed_and_outside_when_not(dtype):
    """Rounded to the output's format before the bias and after it: outside `fused` on most data."""
    kind, convicted = numpy_dtype(dtype), 0
    for family, seed in itertools.product(("normal", "positive", "sparse4", "heavy", "coherent", "denseint"), range(4)):
        case = matrix_case(family, 27, dtype, bias=True, seed=seed)
        x, w = (v.astype(np.float32) for v in factors(case))
        bias = case.operands["bias"].astype(np.float32)[:, None]
        stored = in_order(x * w).astype(kind).astype(np.float32)
        separate, at_once = ((total + bias).astype(kind)[None] for total in (stored, in_order(x * w)))
        assert judge.within({"output": separate}, case, Claims(epilogue="separate")) <= 1
        assert judge.within({"output": at_once}, case, Claims(epilogue="separate")) <= 1
        assert judge.within({"output": at_once}, case, Claims()) <= 1
        convicted += wrong(separate, case)
    assert convicted > 12


def test_a_stored_sum_that_overflows_may_stay_infinite():
    """60000 + 8000 is infinite in float16; a bias of -8000 brings the fused sum back, not the stored one."""
    case = conv([[[60000, 8000]]], [[[1, 1]]], [-8000], "float16")
    for value, fused, separate in ((60000, True, True), (np.inf, False, True)):
        result = np.array([[[value]]], np.float16)
        assert wrong(result, case) != fused
        assert wrong(result, case, Claims(epilogue="separate")) != separate


def test_narrow_accumulators_are_told_apart():
    """Sums carried in float16 or bfloat16: outside float32's class, inside their own."""
    for dtype in ("float16", "bfloat16"):
        form = FORMATS[dtype]
        case = matrix_case("positive", 27, dtype)
        x, w = (v.astype(np.float64) for v in factors(case))
        total = np.zeros(np.broadcast_shapes(x.shape, w.shape)[:-1])
        for i in range(27):
            total = form.round(total + form.round(x[..., i] * w[..., i]))
        result = total.astype(numpy_dtype(dtype))[None]
        assert wrong(result, case)
        assert judge.within({"output": result}, case, Claims(accumulate=dtype)) <= 1


# -------------------------------------------------------------------------------------- overflow and subnormals


def test_where_some_order_may_overflow_anything_is_accepted():
    assert one((3e38, 3e38, -3e38), (1, 1, 1)) == np.inf
    assert one((3e38, 1e37), (1, 1)) < 1e32
    assert one((1e300, 1e300), (1e10, -1e10), None, "float64") == np.inf
    assert one((60000, 60000), (1, -1), None, "float16", accumulate="float16") == np.inf
    assert one((60000, 60000), (1, -1), None, "float16") < np.inf


def flushing(x, w):
    """Operands, products and sums below the smallest normal number are zero."""

    def kept(v):
        return np.where(np.abs(v) < np.float32(F32.smallest_normal), np.float32(0), v)

    products = kept(kept(x) * kept(w))
    total = products[..., 0]
    for i in range(1, products.shape[-1]):
        total = kept(total + products[..., i])
    return total


@pytest.mark.parametrize("terms", [1, 5, 72])
def test_flushed_subnormals_pass_unless_ieee_is_claimed(terms):
    for seed in range(4):
        case = matrix_case("subnormal", terms, seed=seed)
        with np.errstate(under="ignore"):
            flushed, kept = (f(*factors(case))[None] for f in (flushing, lambda x, w: in_order(x * w)))
        for claim in ("either", "ftz"):
            assert not wrong(flushed, case, Claims(subnormals=claim))
            assert not wrong(kept, case, Claims(subnormals=claim))
        assert wrong(flushed, case, Claims(subnormals="ieee"))
        assert not wrong(kept, case, Claims(subnormals="ieee"))


@pytest.mark.parametrize("claim", ["either", "ftz", "ieee"])
def test_averages_of_subnormals(claim):
    """One number in a window of nine zeros: its ninth part is rounded to a subnormal, or flushed."""
    tiny = np.float32(F32.smallest_normal)
    for value in (tiny * 8, tiny, np.float32(5e-45)):
        x = np.zeros((1, 1, 9), np.float32)
        x[0, 0, 4] = value
        case = Case(OPERATIONS["avg_pool1d"], {"input": x}, {"kernel_size": 9}, "float32")
        kept = np.array([[[value / np.float32(9)]]])
        assert not wrong(kept, case, Claims(subnormals=claim))
        assert wrong(np.zeros_like(kept), case, Claims(subnormals=claim)) == (claim == "ieee" and value > 1e-44)


# ------------------------------------------------------------------------------------------------------- claims

BAD = [
    ({"accumulate": "float8"}, "claim `accumulate` is 'float8', but must be one of float64, float32, float16"),
    ({"algorithm": "gemm"}, "claim `algorithm` is 'gemm', but must be one of direct, winograd(m,r), fft"),
    ({"algorithm": "winograd"}, "claim `algorithm` is 'winograd', but a Winograd class is written winograd(m,r)"),
    ({"algorithm": "winograd(4)"}, "is written winograd(m,r)"),
    ({"algorithm": "winograd(4,-3)"}, "is written winograd(m,r)"),
    ({"algorithm": "winograd(4x2,3)"}, "m and r must be positive, with one of each per axis"),
    ({"algorithm": "winograd(0,3)"}, "m and r must be positive"),
    ({"input_rounding": "fp16"}, "claim `input_rounding` is 'fp16', but must be one of none, tf32, bf16"),
    ({"epilogue": ""}, "claim `epilogue` is '', but must be one of fused, separate"),
    ({"nan_max": "keep"}, "claim `nan_max` is 'keep'"),
    ({"ties": "last"}, "claim `ties` is 'last', but must be one of first, any"),
    ({"ceil_rule": "none"}, "claim `ceil_rule` is 'none'"),
    ({"subnormals": "flush"}, "claim `subnormals` is 'flush', but must be one of either, ieee, ftz"),
]


@pytest.mark.parametrize(("claims", "words"), BAD, ids=[f"Claims({c})" for c, _ in BAD])
def test_bad_claims_are_refused_with_the_known_ones(claims, words):
    with pytest.raises(ValueError) as caught:
        Claims(**claims)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("claim", "parsed"),
    [("winograd(2,3)", ((2,), (3,))), ("winograd(4, 5)", ((4,), (5,))), ("winograd(4x2,3x1)", ((4, 2), (3, 1)))],
)
def test_winograd_claims_are_parsed(claim, parsed):
    assert parse_winograd(claim) == parsed and Claims(algorithm=claim)


@pytest.mark.parametrize(
    ("dtype", "accumulate", "name"),
    [
        ("float32", "", "float32"),
        ("float64", "", "float64"),
        ("float16", "", "float32"),
        ("bfloat16", "", "float32"),
        ("complex64", "", "float32"),
        ("complex128", "", "float64"),
        ("float16", "tensor-core", "float32"),
        ("float32", "float64", "float64"),
        ("float64", "float32", "float32"),
        ("float16", "float16", "float16"),
    ],
)
def test_accumulators(dtype, accumulate, name):
    assert bound.accumulator(dtype, Claims(accumulate=accumulate)).name == name


def test_no_tolerance_is_chosen_anywhere():
    """Every limit is derived; the words of chosen ones occur nowhere in the project."""
    words = ["r" + "tol", "a" + "tol", "all" + "close"]
    root = Path(__file__).parents[1]
    for folder in ("refconv", "properties", "tests", "benchmarks"):
        for path in (root / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            attack = path.parent.name == "hostile"  # names what it patches
            assert attack or not any(word in text for word in words), path
