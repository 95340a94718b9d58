"""What is said to be wrong is wrong: each diagnosis is held against the fault that was put in."""

import re
from pathlib import Path

import numpy as np
import pytest

import refconv
from refconv import diagnosis, families, hypotheses
from refconv.diagnosis.kinds import KINDS, Diagnosis
from refconv.diagnosis.search import diagnose
from refconv.judge import Violation, within
from refconv.law import Judged
from refconv.spec import OPERATIONS, Case
from refconv.subject import Subject
from tests import score

# A call of each operation in which the faults below show.
CALLS = {
    "conv2d": ({"input": (2, 4, 6, 7), "weight": (6, 2, 3, 2), "bias": (6,)}, {"padding": (1, 2), "groups": 2}),
    "conv2d_backward": (
        {"grad_output": (2, 3, 3, 3), "input": (2, 2, 6, 7), "weight": (3, 2, 2, 3)},
        {"stride": (2, 2), "padding": (0, 0)},
    ),
    "max_pool2d": ({"input": (2, 3, 6, 7)}, {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 1)}),
}


def _case(operation, dtype="float32", family="denseint", seed=3, **changes):
    shapes, arguments = CALLS[operation]
    operands = families.fill(family, shapes, families.Room(dtype, 40), seed)
    return Case(OPERATIONS[operation], operands, {**arguments, **changes}, dtype, family)


def _judged(operation, function):
    return Judged(Subject("subject", {operation: function}), OPERATIONS[operation])


def _diagnosis(operation, function, case=None):
    """The diagnosis of the violation that the function commits on the case."""
    judged, case = _judged(operation, function), case or _case(operation)
    with pytest.raises(Violation) as caught:
        within(judged(case), case, judged.claims(case))
    return diagnose(caught.value, judged)


def _flipped(input, weight, *rest, **more):
    return refconv.conv2d(input, weight[..., ::-1, ::-1], *rest, **more)


def _untapped(input, weight, *rest, **more):
    weight = weight.copy()
    weight[:, -1, -1, -1] = 0
    return refconv.conv2d(input, weight, *rest, **more)


def _exchanged(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    padding = padding[::-1] if isinstance(padding, tuple) and not isinstance(padding[0], tuple) else padding
    return refconv.conv2d(input, weight, bias, stride, padding, dilation, groups)


def _unpadded(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return refconv.conv2d(input, weight, bias, stride, 0, dilation, groups)


def _biased_twice(input, weight, bias=None, **more):
    return refconv.conv2d(input, weight, None if bias is None else 2 * bias, **more)


def _one_image(*operands, **more):
    out = refconv.conv2d(*operands, **more)
    return out[:1].repeat(len(out), 0)


def _relu(*operands, **more):
    return np.maximum(refconv.conv2d(*operands, **more), 0)


def _to_tf32(array):
    return refconv.dtypes.FORMATS["tf32"].round(array.astype(np.float64)).astype(array.dtype)


def _tf32(input, weight, *rest, **more):
    if input.dtype != "float32":
        return refconv.conv2d(input, weight, *rest, **more)
    return refconv.conv2d(_to_tf32(input), weight, *rest, **more)


def _half(*operands, **more):
    out = refconv.conv2d(*operands, **more)
    return out.astype(np.float16).astype(out.dtype)


def _lost_rows(*operands, **more):
    out = refconv.conv2d(*operands, **more).copy()
    out[:, :, out.shape[2] // 4 * 4 :] = 0
    return out


def _sends_elsewhere(grad_output, input, weight, **more):
    first, second, third = refconv.conv2d_backward(grad_output, input, weight, **more)
    return first, second[..., ::-1, ::-1].copy(), third


def _zero_padded(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    pairs = padding if isinstance(padding, tuple) else (padding,) * 2
    widths = [(p, p) if isinstance(p, int) else p for p in pairs]
    wide = np.pad(input, ((0, 0), (0, 0), *widths))
    if ceil_mode:
        raise NotImplementedError("ceil_mode")
    return refconv.max_pool2d(wide, kernel_size, stride, 0, dilation, ceil_mode)


FAULTS = [
    ("conv2d", _flipped, "flipped kernel"),
    ("conv2d", _untapped, "dropped tap"),
    ("conv2d", _exchanged, "wrong axis"),
    ("conv2d", _unpadded, "ignored argument"),
    ("conv2d", _biased_twice, "bias"),
    ("conv2d", _one_image, "batch mix-up"),
    ("conv2d", _relu, "sign"),
    ("conv2d", _half, "low-precision output"),
    ("conv2d", _lost_rows, "unwritten part"),
    ("conv2d_backward", _sends_elsewhere, "flipped kernel"),
]


@pytest.mark.parametrize(("operation", "function", "kind"), FAULTS, ids=lambda v: getattr(v, "__name__", None))
def test_a_fault_is_named(operation, function, kind):
    """The kind, with words and evidence."""
    found = diagnose(Violation("outside", _case(operation)), _judged(operation, function))
    assert found.kind == kind, str(found)
    assert found.words and found.evidence


def test_rounded_operands_are_named_with_their_side():
    """Which format, which operand."""
    found = _diagnosis("conv2d", _tf32, _case("conv2d", family="normal"))
    assert found.kind == "low-precision inputs"
    assert "`input`" in found.words and "tf32" in found.words


def test_a_pooling_rule_is_named():
    """Zeros in the padding win over negative numbers."""
    found = _diagnosis("max_pool2d", _zero_padded, _case("max_pool2d", family="negative"))
    assert (found.kind, found.words) == ("pooling rule", "pads with zeros")


REASONS = [
    ("operand `weight` was changed by the call", "mutated operand"),
    ("`output` was changed by a later call", "shared memory"),
    ("the state of `numpy.random` was changed", "global state"),
    ("`output` has dtype float64, but must have float32", "wrong dtype or type"),
    ("raised ZeroDivisionError: division by zero", "raises"),
    ("3 input channels were accepted where 2 belong: output (1, 1)", "accepts an impossible call"),
    ("`output` holds a NaN that is none of the operands'", "reads outside"),
    ("a NaN in the window is lost", "NaN handling"),
]


@pytest.mark.parametrize(("reason", "kind"), REASONS)
def test_a_broken_contract_is_a_diagnosis(reason, kind):
    """What the reason says already is taken from it."""
    assert diagnose(Violation(reason), _judged("conv2d", refconv.conv2d)).kind == kind


@pytest.mark.parametrize("operation", CALLS)
def test_a_correct_subject_has_nothing_wrong_with_it(operation):
    """Whatever a law says, no fault is named that no call shows."""
    judged, case = _judged(operation, getattr(refconv, operation)), _case(operation)
    found = diagnose(Violation("`output` is outside the allowed error", case, result="output"), judged)
    assert found.kind == "unknown", str(found)


def test_the_call_found_first_decides_where_the_smallest_leaves_more_than_one_answer():
    """Two groups of one channel: whether groups or channels are exchanged shows on a larger call only."""

    def exchanged(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        out = refconv.conv2d(input, weight, bias, stride, padding, dilation, groups)
        split = out.reshape(len(out), groups, -1, *out.shape[2:])
        return np.ascontiguousarray(split[:, ::-1]).reshape(out.shape)

    judged = _judged("conv2d", exchanged)
    kinds = []
    shapes = {"input": (1, 2, 1, 1), "weight": (2, 1, 1, 1)}, {"input": (2, 6, 4, 5), "weight": (6, 2, 3, 2)}
    cases = [
        Case(
            OPERATIONS["conv2d"],
            families.fill("denseint", s, families.Room("float32", 40), 1),
            {"groups": g},
            "float32",
        )
        for s, g in zip(shapes, (2, 3), strict=True)
    ]
    for found in (None, cases[1]):
        violation = Violation("outside", cases[0], result="output")
        violation.found = found
        kinds.append(diagnose(violation, judged).kind)
    assert kinds[1] == "group mix-up", kinds


def test_a_fault_that_nothing_explains_is_unknown():
    """No hypothesis is stretched."""

    def odd(*operands, **more):
        out = refconv.conv2d(*operands, **more)
        return out + np.arange(out.size).reshape(out.shape).astype(out.dtype) ** 2 % 7

    assert _diagnosis("conv2d", odd).kind == "unknown"


def test_probing_never_raises():
    """A subject that fails while it is probed leaves the answer open."""

    def failing(*operands, **more):
        raise MemoryError("no more")

    found = diagnose(Violation("outside", _case("conv2d")), _judged("conv2d", failing))
    assert found.kind == "unknown"


def test_every_kind_is_reachable():
    """Each kind of the table is named somewhere else than in the table, and stands in the header of some mutant."""
    folders = [Path(package.__file__).parent for package in (diagnosis, hypotheses)]
    source = "".join(path.read_text() for folder in folders for path in folder.glob("*.py"))
    files = [*score.corpus("wrong"), *(score.CORPUS.parent / "hostile").glob("*.py")]
    headers = " or ".join(re.findall(r"^Diagnosis: (.+)\.$", "\n".join(p.read_text() for p in files), re.M))
    for kind in KINDS:
        assert source.count(f'"{kind}"') > 1, kind
        assert kind in headers, kind


def test_it_reads_as_one_line():
    """Kind, words, evidence."""
    assert str(Diagnosis("bias", "the bias is missing", "3 calls")) == "bias: the bias is missing (3 calls)"
