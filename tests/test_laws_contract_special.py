"""Every law of contract, special values and the oracle accepts a correct implementation and rejects a faulty one."""

import numpy as np
import pytest

from refconv.claims import Claims
from tests import score
from tests.test_laws_gradients_pooling import BASE, judged

CHAPTERS = ("test_contract", "test_special", "test_oracle")
LAWS = {rule.__name__.removeprefix("test_"): rule for rule in score.laws() if rule.__module__ in CHAPTERS}
# It decides nothing: what it finds out is judged in test_precision.py and test_sensitivity.py.
FINDS_OUT = "precision_and_sensitivity_are_found_out"


def of_result(kind, change):
    """A result changed by a function of it and the first operand."""
    right = getattr(BASE, kind)
    return lambda *operands, **arguments: change(right(*operands, **arguments), operands[0])


def infinite_beginning(out, input):
    out = out.copy()
    out.reshape(-1)[:1] = np.inf
    return out


def filled_if_empty(grad_output, input, weight, **arguments):
    x, w, b = BASE.conv_backward(grad_output, input, weight, **arguments)
    return (x, w, b) if len(input) else (x, w + 1, b)


def any_groups(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Groups that do not divide the channels are taken for one that does."""
    if input.shape[1] % groups:
        groups, weight = 1, weight.repeat(input.shape[1], 1)
    return BASE.conv(input, weight, bias, stride, padding, dilation, groups)


def everywhere(out, input):
    """A NaN or infinity of an image spoils all of its results."""
    bad = ~np.isfinite(input.astype(np.float64)).all(axis=tuple(range(1, input.ndim)), keepdims=True)
    return np.where(bad, np.array(np.nan, out.dtype), out)


def cleaned(kind):
    """NaN and infinities are taken for zero."""
    right = getattr(BASE, kind)

    def function(*operands, **arguments):
        clean = [np.where(np.isfinite(a.astype(np.float64)), a, 0).astype(a.dtype) for a in operands]
        return right(*clean, **arguments)

    return function


def spilled_gradient(grad_output, input, weight, **arguments):
    """A NaN in the incoming gradient reaches the bias gradient of every channel."""
    x, w, b = BASE.conv_backward(grad_output, input, weight, **arguments)
    return x, w, (b + 0 * b.sum()).astype(b.dtype)


# For each law the operation on which it is tried, and a fault: a file of mutants/wrong or a function.
FAULTS = {
    "results_have_the_shape_and_dtype_of_the_call": ("conv2d", "double_result_for_single"),
    "finite_operands_give_finite_results": ("max_pool2d", of_result("max_pool", infinite_beginning)),
    "operands_are_left_as_they_were": ("conv2d", "weight_flipped_in_place"),
    "operands_may_lie_in_memory_in_any_way": ("conv2d", "memory_order_assumed"),
    "nothing_outside_the_operands_is_read": ("conv2d", "reads_behind_input"),
    "results_own_their_memory": ("conv2d", "same_buffer_returned"),
    "a_call_does_not_remember_the_one_before": ("conv2d", "cached_by_shape"),
    "new_values_in_the_same_memory_give_a_new_result": ("conv1d", "weight_cached_by_address"),
    "a_call_is_right_however_often_it_is_made": ("conv1d", "specialised_after_five_calls"),
    "large_results_are_right_everywhere": ("max_pool2d", "result_number_in_15_bits"),
    "an_empty_batch_gives_an_empty_result": ("conv2d_backward", filled_if_empty),
    "global_random_state_is_left_alone": ("convolve", "random_state_reseeded"),
    "operands_that_do_not_match_are_refused": ("conv2d", "groups_not_dividing_accepted"),
    "groups_that_do_not_divide_the_channels_are_refused": ("conv2d", any_groups),
    "a_kernel_larger_than_the_input_gives_nothing": ("conv3d", "kernel_larger_than_image_cut"),
    "subnormal_numbers_are_kept": ("conv1d", "flushed_though_claimed_kept"),
    "a_nan_in_the_input_reaches_the_outputs_that_read_it": ("conv2d", of_result("conv", everywhere)),
    "a_nan_in_the_weight_reaches_its_output_channel_only": ("conv2d", cleaned("conv")),
    "a_nan_in_the_transposed_input_reaches_its_footprint": (
        "conv_transpose1d",
        of_result("conv_transpose", everywhere),
    ),
    "a_nan_in_the_gradient_reaches_its_channel_only": ("conv2d_backward", spilled_gradient),
    "a_nan_in_a_window_makes_its_average_one": ("avg_pool2d", cleaned("avg_pool")),
    "a_nan_takes_the_gradient_of_its_windows": ("max_pool1d_backward", "max_grad_nan_lost"),
    "every_element_is_within_the_allowed_error": ("conv2d", "kernel_flipped"),
}
CLAIMED = {"subnormal_numbers_are_kept": {"claims": Claims(subnormals="ieee")}}


def test_each_law_has_its_fault():
    """No law that decides is without an example of what it rejects."""
    assert {*FAULTS, FINDS_OUT} == set(LAWS)


@pytest.mark.parametrize("name", FAULTS)
def test_a_law_rejects_its_fault(name):
    """The fault is found, and said in the law's own words."""
    operation, fault = FAULTS[name]
    found = LAWS[name].run(judged(operation, fault, **CLAIMED.get(name, {})))
    assert found.status == "violated", found
    if name != "results_have_the_shape_and_dtype_of_the_call":
        assert "must have" not in found.violation.reason


@pytest.mark.parametrize("name", FAULTS)
def test_a_law_accepts_the_correct(name):
    """A correct implementation keeps the law, on nearly every case that is drawn."""
    found = LAWS[name].run(judged(FAULTS[name][0], examples=32, **CLAIMED.get(name, {})))
    assert found.status == "verified", found.violation
    assert found.declined <= found.cases / 8


@pytest.mark.parametrize(
    ("name", "operation", "kind", "reason"),
    [
        ("a_nan_in_the_input_reaches_the_outputs_that_read_it", "conv2d", "conv", "hides"),
        ("a_nan_in_the_transposed_input_reaches_its_footprint", "conv_transpose2d", "conv_transpose", "hides"),
        ("a_nan_in_a_window_makes_its_average_one", "avg_pool1d", "avg_pool", "shows"),
        ("a_nan_in_the_weight_reaches_its_output_channel_only", "conv1d", "conv", "shows"),
    ],
)
def test_both_sides_of_a_clause_are_judged(name, operation, kind, reason):
    """What must not be finite and is, and what must be finite and is not."""

    def spread(*operands, **arguments):
        out = getattr(BASE, kind)(*operands, **arguments)
        bad = any(not np.isfinite(a.astype(np.float64)).all() for a in operands)
        return out * np.array(np.nan, out.dtype) if bad else out

    found = LAWS[name].run(judged(operation, cleaned(kind) if reason == "hides" else spread))
    assert found.status == "violated" and reason in found.violation.reason
