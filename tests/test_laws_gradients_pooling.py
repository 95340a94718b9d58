"""Every law of gradients, pooling and agreement accepts a correct implementation and rejects a faulty one."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refconv.claims import Claims
from refconv.law import Effort, Judged
from refconv.spec import OPERATIONS
from refconv.strategies import Scope
from refconv.subject import Subject, load

ROOT = Path(__file__).parent.parent
WRONG = ROOT / "tests" / "mutants" / "wrong"
CHAPTERS = ("gradients", "pooling", "agreement")


def module(path):
    spec = importlib.util.spec_from_file_location(f"judged_{path.stem}", path)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def laws_of(chapter):
    found = vars(module(ROOT / "properties" / f"test_{chapter}.py"))
    return {name.removeprefix("test_"): law for name, law in found.items() if hasattr(law, "kind")}


LAWS = {name: law for chapter in CHAPTERS for name, law in laws_of(chapter).items()}
BASE = module(ROOT / "tests" / "mutants" / "_base.py")
RIGHT = {name: getattr(BASE, op.kind) for name, op in OPERATIONS.items()}


# ---------------------------------------------------------------------------------------------- faults, in place


def gradients(change):
    """The three gradients of a convolution, changed by a function of their dict and the operands."""

    def conv_backward(grad_output, input, weight, **arguments):
        found = dict(zip("xwb", BASE.conv_backward(grad_output, input, weight, **arguments), strict=True))
        found |= change(found, grad_output, input, weight)
        return tuple(found[name].astype(input.dtype) for name in "xwb")

    return conv_backward


def pooled_gradient(kind, change):
    """The gradient of a pooling, changed by a function of it and the operands."""
    right = getattr(BASE, f"{kind}_pool_backward")

    def backward(grad_output, input, kernel_size, **arguments):
        found = right(grad_output, input, kernel_size, **arguments)
        return change(found, grad_output, input).astype(input.dtype)

    return backward


def of_absolute_gradient(kind):
    right = getattr(BASE, kind)
    return lambda grad_output, *others, **arguments: right(abs(grad_output), *others, **arguments)


def mixed(found, g, x, w):
    return {"x": np.broadcast_to(found["x"].sum(axis=0, keepdims=True), x.shape)}


def largest_size(input, kernel_size, **arguments):
    """The element of the largest absolute value instead of the largest element."""
    high, low = BASE.max_pool(input, kernel_size, **arguments), -BASE.max_pool(-input, kernel_size, **arguments)
    return np.where(-low > high, low, high)


def maximum_of_sizes(input, kernel_size, **arguments):
    return BASE.max_pool(abs(input), kernel_size, **arguments)


def three_cells(input, kernel_size, stride=None, **arguments):
    """Windows that slide by one are cut to three cells along each axis."""
    right = BASE.max_pool(input, kernel_size, stride, **arguments)
    if stride != 1:
        return right
    few = tuple(min(k, 3) for k in kernel_size)
    return BASE.max_pool(input, few, 1, **arguments)[(..., *map(slice, right.shape[2:]))]


def infinity_cut(input, kernel_size, **arguments):
    largest = np.finfo(input.dtype).max
    return BASE.max_pool(np.clip(input, -largest, largest), kernel_size, **arguments)


def from_the_end(pool):
    """In ceil mode the windows are counted from the other end."""

    def pooling(input, kernel_size, ceil_mode=False, **arguments):
        if not ceil_mode:
            return pool(input, kernel_size, **arguments)
        return np.flip(pool(np.flip(input, -1).copy(), kernel_size, ceil_mode=True, **arguments), -1).copy()

    return pooling


def sum_instead(input, kernel_size, **arguments):
    sizes = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,) * (input.ndim - 2)
    return BASE.avg_pool(input, kernel_size, **arguments) * input.dtype.type(np.prod(sizes))


def with_epsilon(input, kernel_size, **arguments):
    return BASE.avg_pool(input, kernel_size, **arguments) + input.dtype.type(1e-3)


def average_of_sizes(input, kernel_size, **arguments):
    return BASE.avg_pool(abs(input), kernel_size, **arguments)


# For each law the operation on which it is tried, and a fault: a file of mutants/wrong or a function.
FAULTS = {
    "input_gradient_is_adjoint_to_the_convolution": ("conv2d_backward", "grad_input_not_rotated"),
    "weight_gradient_is_adjoint_to_the_convolution": ("conv1d_backward", "grad_weight_flipped"),
    "bias_gradient_is_adjoint_to_adding_a_bias": ("conv2d_backward", "grad_bias_mean"),
    "bias_gradient_is_the_sum_of_grad_output": ("conv3d_backward", "grad_bias_first_image"),
    "input_gradient_predicts_a_step_of_the_input": ("conv1d_backward", "grad_input_shifted"),
    "weight_gradient_predicts_a_step_of_the_weight": ("conv2d_backward", "grad_weight_stride_ignored"),
    "input_gradient_is_a_transposed_convolution": ("conv3d_backward", "grad_input_dilation_ignored"),
    "input_gradient_is_a_full_convolution_with_the_rotated_kernel": ("conv2d_backward", "grad_input_not_rotated"),
    "weight_gradient_is_a_convolution_with_grad_output": ("conv2d_backward", "grad_weight_border_clamped"),
    "convolution_gradients_are_linear_in_grad_output": ("conv1d_backward", of_absolute_gradient("conv_backward")),
    "input_gradient_does_not_depend_on_the_input": (
        "conv1d_backward",
        gradients(lambda found, g, x, w: {"x": found["x"] * (x > 0)}),
    ),
    "weight_gradient_does_not_depend_on_the_weight": (
        "conv2d_backward",
        gradients(lambda found, g, x, w: {"w": found["w"] + w}),
    ),
    "nothing_flows_where_nothing_was_read": ("conv1d_backward", "grad_input_remainder_stale"),
    "zero_grad_output_gives_zero": ("conv3d_backward", gradients(lambda found, g, x, w: {"b": found["b"] + 1})),
    "input_gradient_of_an_image_is_its_own": ("conv2d_backward", gradients(mixed)),
    "weight_gradient_of_a_batch_is_the_sum_over_its_images": ("conv2d_backward", "grad_weight_divided_by_batch"),
    "average_gradient_is_adjoint_to_the_average": ("avg_pool1d_backward", "avg_grad_overwrites"),
    "average_gradient_does_not_depend_on_the_input": (
        "avg_pool2d_backward",
        pooled_gradient("avg", lambda found, g, x: found * (x > 0)),
    ),
    "average_gradient_is_linear_in_grad_output": ("avg_pool3d_backward", of_absolute_gradient("avg_pool_backward")),
    "average_gradient_conserves_the_sum": ("avg_pool2d_backward", "avg_grad_counts_padding"),
    "average_gradient_is_spread_evenly": ("avg_pool2d_backward", "avg_grad_not_divided"),
    "maximum_gradient_lands_on_the_maximum": ("max_pool2d_backward", "max_grad_to_last"),
    "maximum_gradient_conserves_the_sum": ("max_pool2d_backward", "max_grad_to_every_tie"),
    "maximum_gradient_is_zero_off_the_maxima": ("max_pool2d_backward", "max_grad_index_of_padded_image"),
    "maximum_gradient_recovers_the_maxima": ("max_pool2d_backward", "max_grad_overwrites"),
    "maximum_gradient_predicts_a_step_of_one_element": ("max_pool2d_backward", "max_grad_index_of_padded_image"),
    "maximum_gradient_is_linear_in_grad_output": ("max_pool1d_backward", of_absolute_gradient("max_pool_backward")),
    "maximum_is_an_upper_bound_of_its_window": ("max_pool3d", "max_depth_slice_lost"),
    "maximum_is_an_element_of_its_window": ("max_pool2d", "max_padding_zero"),
    "maximum_of_single_cells_is_the_identity": ("max_pool2d", "max_through_float32"),
    "maximum_of_a_constant_is_the_constant": ("max_pool2d", "max_starts_at_minus_1e4"),
    "padding_never_wins_a_maximum": ("max_pool2d", "max_starts_at_zero"),
    "maxima_of_maxima_are_maxima_of_larger_windows": ("max_pool2d", three_cells),
    "maximum_is_monotone": ("max_pool2d", maximum_of_sizes),
    "maximum_commutes_with_increasing_maps": ("max_pool1d", largest_size),
    "minimum_is_the_negated_maximum_of_the_negated": ("max_pool3d", largest_size),
    "global_maximum": ("max_pool3d", "max_depth_slice_lost"),
    "ceil_mode_leaves_the_other_maxima_alone": ("max_pool1d", from_the_end(BASE.max_pool)),
    "nan_reaches_the_maxima_of_its_windows_only": ("max_pool2d", "max_drops_nan"),
    "infinities_take_part_in_maxima": ("max_pool2d", infinity_cut),
    "average_times_its_count_is_the_sum": ("avg_pool2d", "avg_count_include_pad_ignored"),
    "average_of_ones_counts_the_cells": ("avg_pool2d", "avg_divides_by_whole_window"),
    "average_is_a_convolution_with_a_constant_kernel": ("avg_pool3d", "avg_border_clamped"),
    "average_of_single_cells_is_the_identity": ("avg_pool1d", with_epsilon),
    "average_is_monotone": ("avg_pool1d", average_of_sizes),
    "average_lies_between_minimum_and_maximum": ("avg_pool2d", sum_instead),
    "global_average": ("avg_pool3d", sum_instead),
    "ceil_mode_leaves_the_other_averages_alone": ("avg_pool1d", from_the_end(BASE.avg_pool)),
    "agrees_with_every_reference": ("conv2d", "kernel_flipped"),
}


def judged(operation, fault=None, examples=400, **about):
    functions = dict(RIGHT)
    if isinstance(fault, str):
        functions |= load(str(WRONG / f"{fault}.py"), {}).functions
    elif fault is not None:
        functions[operation] = fault
    return Judged(Subject("example", functions, **about), OPERATIONS[operation], Effort(examples, shrinks=False))


def run(name, judged):
    return LAWS[name].run(judged)


def test_each_law_has_its_fault():
    """No law is without an example of what it rejects."""
    assert set(FAULTS) == set(LAWS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_law_rejects_its_fault(name):
    """The fault is found, by the law itself and not by the form of the result."""
    found = run(name, judged(*FAULTS[name]))
    assert found.status == "violated", found
    assert "must have" not in found.violation.reason


@pytest.mark.parametrize("name", FAULTS)
def test_a_law_accepts_the_correct(name):
    """A correct implementation keeps the law, on nearly every case that is drawn."""
    found = run(name, judged(FAULTS[name][0], examples=32))
    assert found.status == "verified", found.violation
    assert found.declined <= found.cases / 8


@pytest.mark.parametrize(
    "operation, fault",
    [
        ("conv1d", "kernel_flipped_1d"),
        ("conv_transpose2d", "transposed_kernel_flipped"),
        ("conv2d_backward", "grad_groups_swapped"),
        ("max_pool2d", "max_dilation_ignored"),
        ("avg_pool2d", "avg_count_include_pad_ignored"),
        ("max_pool2d_backward", "max_grad_to_last"),
        ("avg_pool2d_backward", "avg_grad_not_divided"),
        ("convolve", "convolve_not_flipped"),
        ("correlate", "correlate_not_flipped"),
    ],
)
def test_references_disagree_with_a_fault_of_every_kind(operation, fault):
    """Agreement is asked of every kind of operation."""
    assert run("agrees_with_every_reference", judged(operation, fault)).status == "violated"


# ------------------------------------------------------------------------------------------------ claims


def split_ties(grad_output, input, kernel_size, **arguments):
    """Half of a gradient to the first of equal maxima, half to the last."""
    first = BASE.max_pool_backward(grad_output, input, kernel_size, **arguments)
    turned = [np.flip(a, -1).copy() for a in (grad_output, input)]
    last = np.flip(BASE.max_pool_backward(*turned, kernel_size, **arguments), -1)
    return (first / 2 + last / 2).astype(input.dtype)


MAXIMUM_GRADIENTS = [name for name in FAULTS if name.startswith("maximum_gradient")]


@pytest.mark.parametrize("name", MAXIMUM_GRADIENTS)
def test_ties_may_be_split_where_that_is_claimed(name):
    """With `ties=any` a split between equal maxima breaks no law."""
    # without padding and remainder the mirror image has the mirrored windows
    scope = Scope(fix={"kernel_size": 2, "stride": 1, "padding": 0})
    subject = judged("max_pool1d_backward", split_ties, 40, scope=scope, claims=Claims(ties="any"))
    found = run(name, subject)
    assert found.status == "verified", found.violation
    strict = replace(subject, subject=replace(subject.subject, claims=Claims()))
    if name.endswith("lands_on_the_maximum"):
        assert run(name, strict).status == "violated"


def test_nan_may_be_dropped_where_that_is_claimed():
    """With `nan_max=drop` a NaN gives way to the rest of its window; without the claim it must win."""
    law = "nan_reaches_the_maxima_of_its_windows_only"
    dropping = judged("max_pool2d", "max_drops_nan", claims=Claims(nan_max="drop"))
    assert run(law, dropping).status == "verified"
    propagating = judged("max_pool2d", claims=Claims(nan_max="drop"))
    assert run(law, propagating).status == "violated"


def no_subnormals(input, *arguments, **named):
    """The maximum where subnormal numbers count as zero."""
    tiny = np.abs(input) < np.finfo(input.dtype).smallest_normal
    return BASE.max_pool(np.where(tiny, 0, input).astype(input.dtype), *arguments, **named)


def equal_subnormals(input, *arguments, **named):
    """The maximum where subnormal numbers compare as zero: of those of a window the least."""
    tiny = np.abs(input) < np.finfo(input.dtype).smallest_normal
    least = -BASE.max_pool(np.where(tiny, -input, -np.inf).astype(input.dtype), *arguments, **named)
    largest = no_subnormals(input, *arguments, **named)
    return np.where(largest == 0, least, largest).astype(input.dtype)


MAXIMA = [name for name, law in LAWS.items() if law.kind == "max_pool"] + ["agrees_with_every_reference"]


@pytest.mark.parametrize("function", [no_subnormals, equal_subnormals])
@pytest.mark.parametrize("name", MAXIMA)
def test_subnormal_numbers_may_compare_as_zero_unless_ieee_is_claimed(name, function):
    """On cases of nothing else; those that compare them are broken where the claim is `ieee`."""
    subject = judged("max_pool2d", function, 16, scope=Scope(families=("subnormal",)))
    found = run(name, subject)
    assert found.status == "verified", found.violation
    if name in ("agrees_with_every_reference", "minimum_is_the_negated_maximum_of_the_negated"):
        strict = replace(subject, subject=replace(subject.subject, claims=Claims(subnormals="ieee")))
        assert run(name, strict).status == "violated"


# ------------------------------------------------------------------------------------------- arguments held fast


def guarded(operation, kernel):
    """The correct operation, which fails on another kernel than the one that was promised."""
    right = RIGHT[operation]

    def function(*operands, **arguments):
        given = inspect.signature(right).bind(*operands, **arguments).arguments
        used = given.get("kernel_size") or given["weight"].shape[2:]
        assert used in (kernel, (kernel,) * OPERATIONS[operation].rank), f"the kernel is {used}"
        return right(*operands, **arguments)

    return function


@pytest.mark.parametrize(
    "operation, name",
    [
        ("conv2d_backward", "input_gradient_is_a_full_convolution_with_the_rotated_kernel"),
        ("conv2d_backward", "weight_gradient_is_a_convolution_with_grad_output"),
        ("max_pool2d", "maximum_of_single_cells_is_the_identity"),
        ("max_pool2d", "maxima_of_maxima_are_maxima_of_larger_windows"),
        ("max_pool2d", "global_maximum"),
        ("avg_pool2d", "average_is_a_convolution_with_a_constant_kernel"),
        ("avg_pool2d", "average_lies_between_minimum_and_maximum"),
    ],
)
def test_what_is_held_fast_stays(operation, name):
    """No law calls a subject outside of what the user holds fast."""
    functions = {operation: guarded(operation, 3) for operation, op in OPERATIONS.items() if op.rank == 2}
    subject = Subject("guarded", functions, scope=Scope(fix={"kernel_size": 3}))
    found = run(name, Judged(subject, OPERATIONS[operation], Effort(8, shrinks=False)))
    assert found.violation is None, found.violation
