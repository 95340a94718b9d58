"""What FINDINGS.md says of other libraries: its exact values are refconv's, and the judge rejects what was got."""

import re
from pathlib import Path

import numpy as np
import pytest

from refconv import bound, exact, judge
from refconv.claims import Claims
from refconv.dtypes import numpy_dtype
from refconv.judge import Violation
from refconv.spec import OPERATIONS, Case

PAGE = (Path(__file__).parent.parent / "FINDINGS.md").read_text(encoding="utf-8")
SECTIONS = re.split(r"^## ", PAGE, flags=re.M)[1:]
SCRIPTS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
ONES = np.ones
AVERAGE = {"kernel_size": 4, "stride": 1, "padding": 2}
MAXIMUM = {"kernel_size": 3, "stride": 1}
LATE = {"dilation": 2, "output_padding": 1}


def case(operation, dtype, arguments, **operands):
    arrays = {name: np.array(a, dtype=numpy_dtype(dtype)) for name, a in operands.items()}
    return Case(OPERATIONS[operation], arrays, arguments, dtype)


def triple(size, axis=-1):
    """size, 1, -size along one axis of three."""
    return np.moveaxis(np.array([[[size, 1, -size]]]), -1, axis)


def conv_gradient(dtype, arguments, grad, size, kernel=1):
    batch = len(grad)
    return case(
        "conv1d_backward",
        dtype,
        arguments,
        grad_output=grad,
        input=ONES((batch, *size)),
        weight=ONES((1, size[0], kernel)),
    )


def average(dtype, size):
    grad = [[[4 * size, 4, -4 * size]]]
    return case("avg_pool1d_backward", dtype, AVERAGE, grad_output=grad, input=np.zeros((1, 1, 2)))


def maximum(dtype, size):
    return case("max_pool1d_backward", dtype, MAXIMUM, grad_output=triple(size), input=[[[0, 0, 1, 0, 0]]])


def transposed(dtype, arguments, x, w, **bias):
    return case("conv_transpose1d", dtype, arguments, input=[[x]], weight=[[w]], **bias)


UNINITIALISED = conv_gradient("bfloat16", {"stride": 2, "padding": 1}, [[[1]]], (16, 1), 2)
SHALLOW = case(
    "conv3d_backward",
    "bfloat16",
    {"padding": (1, 0, 0)},
    grad_output=ONES((1, 1, 2, 1, 1)),
    input=ONES((1, 16, 1, 1, 1)),
    weight=ONES((1, 16, 2, 1, 1)),
)
OUTSIDE = case(
    "max_pool1d_backward",
    "float32",
    {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 2},
    grad_output=[[[1], [0]]],
    input=[[[0], [0]]],
)
OVERLAP = transposed("float16", {}, [8192, 1, -8192], [1, 1, 1])
BIAS = case(
    "conv_transpose3d",
    "float16",
    {},
    input=np.reshape([1, 2.0**-11], (1, 2, 1, 1, 1)),
    weight=ONES((2, 1, 1, 1, 1)),
    bias=[-1],
)
# the cell that held the NaN is 0 here: the outputs it has no part in are the same
FOOTPRINT = transposed("bfloat16", {"stride": 2, "output_padding": 1}, [1, 0], [1])
OVERLAP_ADD = case("convolve", "float64", {}, in1=[1, 2, 3, 4, 5], in2=[1, 1])
REFUSED = case("avg_pool3d", "float32", {"kernel_size": 2, "stride": 1, "padding": 1}, input=ONES((1, 1, 1, 1, 1)))
ROWS_OF_TWO = np.where(np.arange(28)[:, None] % 2, 2, 1)
LAST = case(
    "conv2d",
    "float32",
    {"stride": (1, 2)},
    input=np.broadcast_to(ROWS_OF_TWO, (4, 1, 28, 7)),
    weight=ONES((8, 1, 3, 7)),
)
VOLUME = case(
    "conv3d",
    "float32",
    {"stride": (1, 1, 2)},
    input=np.tile(np.arange(15.0).reshape(1, 1, 1, 3, 5), (2, 1, 1, 1, 1)),
    weight=np.arange(1.0, 9).reshape(1, 1, 1, 2, 4),
)
GROUPS = case(
    "conv2d",
    "float32",
    {"stride": 3, "padding": (5, 2), "dilation": 2, "groups": 3},
    input=np.arange(36.0).reshape(1, 9, 4, 1),
    weight=np.arange(18.0).reshape(6, 3, 1, 1),
    bias=np.arange(6.0),
)
GROUP_BIAS = case(
    "conv_transpose1d",
    "float32",
    {"groups": 2},
    input=np.zeros((1, 2, 1)),
    weight=np.zeros((2, 1, 1)),
    bias=[0, 1],
)
CEIL = case("avg_pool1d", "float32", {"kernel_size": 3, "stride": 3, "ceil_mode": True}, input=[[[1, 2, 3, 4]]])
SMALL = case("conv1d", "float64", {}, input=[[[2.0**60]]], weight=[[[2.0**-53]]])
CUT = transposed("float32", {"stride": 2, "padding": 1}, [1, 2, 3], [1])
EMPTY = conv_gradient("float32", {"dilation": 2}, np.zeros((0, 1, 3)), (1, 3))
NO_IMAGES = case("conv2d", "float32", {}, input=np.zeros((0, 4, 5, 5)), weight=np.zeros((2, 4, 3, 3)))
TIES = case(
    "max_pool3d_backward",
    "float32",
    {"kernel_size": (1, 1, 2)},
    grad_output=ONES((1, 1, 1, 1, 1)),
    input=ONES((1, 1, 1, 1, 2)),
)
WIDE = case("conv1d", "float64", {}, input=[[[1, 2.0**-30]]], weight=ONES((1, 1, 2)))
PADDED = case("conv2d", "float32", {"padding": (0, 2)}, input=[[[[1, 2], [3, 4]]]], weight=ONES((1, 1, 1, 1)))
FFT = Claims(algorithm="fft")

# section, case, result, index of the figures, got, exact, default or documented claim
FIGURES = [
    (1, UNINITIALISED, "grad_weight", (0, 0, 0), 14637248544768.0, 0.0, Claims()),
    (2, SHALLOW, "grad_weight", (0, 0, 0, 0, 0), 14637248544768.0, 1.0, Claims()),
    (3, OUTSIDE, "grad_input", (0, 1, 0), 1.0, 0.0, Claims()),
    (4, OVERLAP, "output", (0, 0, 2), 0.0, 1.0, Claims()),
    (5, BIAS, "output", (0, 0, 0, 0, 0), 0.0, 2.0**-11, Claims()),
    (6, FOOTPRINT, "output", (0, 0, 0), np.nan, 1.0, Claims()),
    (7, OVERLAP_ADD, "output", (2,), 3.0, 5.0, FFT),
    (9, LAST, "output", (0, 0, 1, 0), 25.0, 35.0, Claims()),
    (10, VOLUME, "output", (0, 0, 0, 1, 0), 120.0, 374.0, Claims()),
    (11, VOLUME, "output", (0, 0, 0, 1, 0), 120.0, 374.0, Claims()),
    (21, PADDED, "output", (0, 0, 0, 5), 4.0, 0.0, Claims()),
    (13, GROUP_BIAS, "output", (0, 1, 0), 0.0, 1.0, Claims()),
    (14, CEIL, "output", (0, 0, 0), 1.5, 2.0, Claims()),
    (15, SMALL, "output", (0, 0, 0), 0.0, 128.0, Claims()),
    (19, TIES, "grad_input", (0, 0, 0, 0, 1), 1.0, 0.0, Claims()),
    (20, WIDE, "output", (0, 0, 0), 1.0, 1 + 2.0**-30, Claims()),
]
# section, case, result, index of the figures, what came in place of a value, exact
NOTHING = [
    (12, GROUPS, "output", (0, 1, 0, 0), "SIGSEGV", 1.0),
    (16, CUT, "output", (0, 0, 1), "missing", 2.0),
    (17, EMPTY, "grad_weight", (0, 0, 0), "SIGFPE", 0.0),
]
# in no test environment: such a script says what it needs
ELSEWHERE = {"tensorflow", "openvino", "mlx"}
# the rows of section 4, and a claim that makes each correct
ROWS = [
    (OVERLAP, "output", (0, 0, 2), 0.0, 1.0),
    (conv_gradient("float16", {"padding": 1}, triple(8192), (1, 3), 3), "grad_input", (0, 0, 1), 0.0, 1.0),
    (conv_gradient("float16", {}, triple(8192, 0), (1, 1)), "grad_weight", (0, 0, 0), 0.0, 1.0),
    (average("float16", 8192), "grad_input", (0, 0, 0), 0.0, 1.0),
    (maximum("float16", 8192), "grad_input", (0, 0, 2), 0.0, 1.0),
    (
        transposed("bfloat16", LATE, [3, 0, 1], [0, -1.53125, -3.671875]),
        "output",
        (0, 0, 4),
        -12.5,
        -12.546875,
    ),
    (average("bfloat16", 1024), "grad_input", (0, 0, 0), 0.0, 1.0),
    (maximum("bfloat16", 1024), "grad_input", (0, 0, 2), 0.0, 1.0),
]


def recorded(case, result, index, got):
    """The right values, but for the one that was got."""
    values = exact.rational(case)[result].astype(float)
    values[index] = got
    return {result: values.astype(numpy_dtype(case.dtype))}


def loops(case, result):
    """The result by plain loops over one axis, the third reference."""
    a = {name: np.asarray(v, dtype=np.float64) for name, v in case.operands.items()}
    s = case.settings
    stride, before, dilation = s.get("stride", 1), s.get("padding", 0), s.get("dilation", 1)
    out = np.zeros(case.shapes[result])
    g = a.get("grad_output", a["input"])  # a transposed convolution is the gradient of one
    size = out.shape[-1] if result != "grad_weight" else a["input"].shape[-1]
    taps = a["weight"].shape[-1] if "weight" in a else s["kernel_size"]
    for n, o, i in np.ndindex(g.shape):
        cells = [(t, i * stride - before + t * dilation) for t in range(taps)]
        inside = [(t, p) for t, p in cells if 0 <= p < size]
        if "max_pool" in case.operation.name:
            inside = [max(inside, key=lambda cell: a["input"][n, o, cell[1]])] if inside else []
        for t, p in inside:
            if result == "grad_weight":
                out[o, :, t] += g[n, o, i] * a["input"][n, :, p]
            elif "pool" in case.operation.name:
                out[n, o, p] += g[n, o, i] / (taps if "avg" in case.operation.name else 1)
            else:
                out[n, :, p] += g[n, o, i] * a["weight"][o, :, t]
    return out


@pytest.mark.parametrize(("number", "case", "result", "index", "got", "truth", "claims"), FIGURES)
def test_the_page_gives_the_figures_and_the_judge_rejects_what_was_got(number, case, result, index, got, truth, claims):
    allowed = float(bound.allowed(case, claims)[result][index])
    assert f"    got      {got!r}\n    exact    {truth!r}\n    allowed  {allowed!r}\n" in SECTIONS[number - 1]
    assert exact.rational(case)[result][index] == truth == exact.values(case)[result].high[index]
    with pytest.raises(Violation) as caught:
        judge.within(recorded(case, result, index, got), case, claims)
    violation = caught.value
    assert (violation.index, violation.wrong, violation.exact) == (index, 1, truth)
    judge.within(recorded(case, result, index, truth), case, claims)


@pytest.mark.parametrize(("case", "result", "index", "got", "truth"), ROWS)
def test_a_narrow_sum_is_rejected_by_default_and_accepted_where_claimed(case, result, index, got, truth):
    row = re.escape(f"`{case.operation.name}` | {case.dtype} |") + ".*" + re.escape(f"`{result}[")
    cells = re.escape(f"{', '.join(map(str, index))}]` | {got!r} | {truth!r} |")
    assert re.search(row + cells, SECTIONS[3])
    assert exact.rational(case)[result][index] == truth
    assert bound.allowed(case, Claims())[result][index] == 0
    wrong = recorded(case, result, index, got)
    with pytest.raises(Violation):
        judge.within(wrong, case, Claims())
    judge.within({result: wrong[result]}, case, Claims(accumulate=case.dtype))


@pytest.mark.parametrize(
    ("case", "result"), [row[:2] for row in ROWS] + [(UNINITIALISED, "grad_weight"), (OUTSIDE, "grad_input")]
)
def test_plain_loops_agree(case, result):
    assert (loops(case, result) == exact.rational(case)[result].astype(float)).all()


def test_a_bias_added_after_rounding_is_accepted_where_claimed():
    judge.within(recorded(BIAS, "output", (0, 0, 0, 0, 0), 0.0), BIAS, Claims(epilogue="separate"))


def test_padding_makes_the_refused_kernel_fit():
    assert exact.rational(REFUSED)["output"].shape == (1, 1, 2, 2, 2)
    assert (exact.rational(REFUSED)["output"].astype(float) == 0.125).all()
    assert "    got      refused\n    exact    0.125\n    allowed  0.0\n" in SECTIONS[7]


@pytest.mark.parametrize(("number", "case", "result", "index", "got", "truth"), NOTHING)
def test_where_no_value_came_the_page_gives_the_exact_one(number, case, result, index, got, truth):
    assert exact.rational(case)[result][index] == truth
    assert f"    got      {got}\n    exact    {truth}\n    allowed  0.0\n" in SECTIONS[number - 1]
    ended = f"ends by {got}\n" in SCRIPTS[number - 1].split("import", 1)[0]
    assert ended == got.startswith("SIG")


def test_results_of_a_wrong_shape_are_rejected():
    """Too few elements of a transposed convolution, and too many rows and channels of no image."""
    assert f"    got      {(0, 4, 5, 5)}\n    exact    {NO_IMAGES.shapes['output']}\n" in SECTIONS[17]
    for case, shape in ((NO_IMAGES, (0, 4, 5, 5)), (CUT, (1, 1, 1))):
        with pytest.raises(Violation, match="shape"):
            judge.form({"output": np.zeros(shape, np.float32)}, case)


def test_every_finding_has_a_script_that_is_short_and_needs_the_library_and_numpy_only():
    assert len(SCRIPTS) == len(SECTIONS) == len(re.findall(r"^\| \[\d", PAGE, re.M))
    for number, script in enumerate(SCRIPTS, 1):
        compile(script, f"script {number}", "exec")
        assert script.count("\n") <= 25
        needed = set(re.findall(r"^(?:import|from) (\w+)", script, re.M))
        assert needed <= {"torch", "numpy", "scipy", "jax", "onnx", "os"} | ELSEWHERE
        said = re.match(r"# needs (\w+)", script)
        assert needed & ELSEWHERE == (set(said.groups()) if said else set())


def test_every_finding_says_what_is_promised_what_is_known_upstream_and_for_which_versions():
    for section in SECTIONS:
        for words in ("Verdict: **", "**What the documentation promises.**", "**Upstream.**", "**Since, until.**"):
            assert words in section
