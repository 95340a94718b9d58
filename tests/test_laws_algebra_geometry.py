"""Each law of the chapters algebra and geometry convicts an implementation that breaks it, and no correct one."""

import importlib.util
import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import refconv
from refconv.claims import Claims
from refconv.law import Effort, Judged
from refconv.spec import KINDS, OPERATIONS
from refconv.strategies import Scope
from refconv.subject import Subject, load

ROOT = Path(__file__).parents[1]
WRONG = ROOT / "tests" / "mutants" / "wrong"


def _laws(*chapters):
    found = {}
    for chapter in chapters:
        path = ROOT / "properties" / f"test_{chapter}.py"
        spec = importlib.util.spec_from_file_location(f"laws_{chapter}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= {name.removeprefix("test_"): f for name, f in vars(module).items() if name.startswith("test_")}
    return found


LAWS = _laws("algebra", "geometry")


# ---------------------------------------------------------------------------------------- faulty functions


def result(change):
    """Breaks an operation by a change of its result."""

    def broken(function):
        return lambda *operands, **arguments: change(function(*operands, **arguments).copy())

    return broken


def input_first(change):
    """Breaks an operation by a change of its first operand."""

    def broken(function):
        return lambda x, *rest, **arguments: function(change(x.copy()), *rest, **arguments)

    return broken


def both(change):
    """Breaks an operation by a change of its result that depends on the first operand."""

    def broken(function):
        return lambda x, *rest, **arguments: change(function(x, *rest, **arguments).copy(), x)

    return broken


def doubled(where):
    def change(array):
        array[where] *= 2
        return array

    return change


def without_last_tap(function):
    def broken(x, weight, *rest, **arguments):
        weight = weight.copy()
        weight[..., -1] = 0
        return function(x, weight, *rest, **arguments)

    return broken


def doubled_with(name):
    """Breaks an operation where an argument is not its default."""

    def broken(function):
        default = 1 if name in ("stride", "dilation") else 0

        def call(*operands, **arguments):
            return function(*operands, **arguments) * (2 if arguments.get(name, default) != default else 1)

        return call

    return broken


def one_larger(array, x):
    """Off by a last bit where the batch has several images."""
    return np.nextafter(array, np.inf) if len(x) > 1 else array


def sometimes(array):
    return np.nextafter(array, np.inf) if random.random() < 0.3 else array


positive = result(lambda y: np.maximum(y, 0))
magnitude = result(np.abs)
offset = result(lambda y: y + 1)
clipped = result(lambda y: np.where(np.abs(y.real) > 1000, 1000, y).astype(y.dtype))
rolled = result(lambda y: np.roll(y, 1, -1))
nothing = result(np.zeros_like)
first_column = result(doubled(np.s_[..., :1]))
second_column = result(doubled(np.s_[..., 1:2]))
last_column = result(doubled(np.s_[..., -1:]))
first_output_channel = result(doubled(np.s_[:, :1]))
first_image = result(doubled(np.s_[:1]))
first_input_channel = input_first(doubled(np.s_[:, :1]))
sum_of_all = both(lambda y, x: y + 0 * x.sum())
batch_bit = both(one_larger)


# law: the operation it is tried on, and what breaks it: a function, or a file of tests/mutants/wrong
REJECTED = {
    "convolution_is_linear_in_the_input": ("conv2d", positive),
    "convolution_is_linear_in_the_kernel": ("conv2d", positive),
    "transposed_convolution_is_linear_in_the_input": ("conv_transpose2d", positive),
    "transposed_convolution_is_linear_in_the_kernel": ("conv_transpose2d", positive),
    "average_pooling_is_linear": ("avg_pool2d", positive),
    "convolution_is_distributive": ("convolve", magnitude),
    "correlation_is_distributive": ("correlate", magnitude),
    "bias_is_added_at_every_position": ("conv2d", "bias_twice"),
    "transposed_bias_is_added_at_every_position": ("conv_transpose2d", "transposed_bias_ignored"),
    "zero_operand_leaves_the_bias": ("conv2d", offset),
    "zero_operand_leaves_the_transposed_bias": ("conv_transpose2d", offset),
    "powers_of_two_scale_a_convolution": ("conv2d", clipped),
    "powers_of_two_scale_a_transposed_convolution": ("conv_transpose2d", clipped),
    "powers_of_two_scale_a_maximum": ("max_pool2d", "max_starts_at_minus_1e4"),
    "powers_of_two_scale_an_average": ("avg_pool2d", clipped),
    "powers_of_two_scale_a_signal_convolution": ("convolve", clipped),
    "powers_of_two_scale_a_correlation": ("correlate", clipped),
    "a_delta_kernel_copies_the_input": ("conv2d", "kernel_flipped"),
    "a_delta_kernel_places_the_input": ("conv_transpose2d", "transposed_kernel_flipped"),
    "convolution_is_commutative": ("convolve", "convolve_not_flipped"),
    "convolution_is_associative": ("convolve", "convolve_not_flipped"),
    "a_delta_is_the_identity": ("convolve", "convolve_not_flipped"),
    "correlating_with_a_delta_shifts": ("correlate", "correlate_not_flipped"),
    "the_sum_is_the_product_of_the_sums": ("convolve", last_column),
    "convolution_theorem": ("convolve", "convolve_not_flipped"),
    "polynomials_multiply": ("convolve", "convolve_not_flipped"),
    "convolution_is_correlation_with_the_kernel_flipped": ("convolve", "convolve_not_flipped"),
    "exchanged_correlation_is_the_conjugate_mirror_image": ("correlate", "correlate_not_flipped"),
    "modes_of_convolution_are_parts_of_full": ("convolve", "same_off_by_one"),
    "modes_of_correlation_are_parts_of_full": ("correlate", first_column),
    "shifting_the_input_shifts_the_output": ("conv2d", first_column),
    "shifting_the_input_shifts_the_transposed_output": ("conv_transpose2d", first_column),
    "circular_padding_makes_translation_exact": ("conv2d", first_column),
    "shifting_the_input_shifts_the_maxima": ("max_pool2d", second_column),
    "shifting_the_input_shifts_the_averages": ("avg_pool2d", second_column),
    "shifting_an_operand_shifts_the_convolution": ("convolve", first_column),
    "shifting_an_operand_shifts_the_correlation": ("correlate", first_column),
    "rotating_the_input_does_not_rotate_the_output": ("conv2d", nothing),
    "enlarging_the_input_does_not_enlarge_the_output": ("conv2d", nothing),
    "padding_is_a_border_of_zeros": ("conv2d", "border_clamped"),
    "stride_leaves_out_outputs": ("conv2d", doubled_with("stride")),
    "dilation_is_a_kernel_with_zeros_between": ("conv2d", doubled_with("dilation")),
    "transposed_stride_is_an_input_with_zeros_between": ("conv_transpose2d", doubled_with("stride")),
    "transposed_dilation_is_a_kernel_with_zeros_between": ("conv_transpose2d", "transposed_dilation_ignored"),
    "transposed_padding_cuts_the_full_result": ("conv_transpose2d", "transposed_crops_left_only"),
    "output_padding_adds_rows_of_bias": ("conv_transpose2d", "output_padding_before"),
    "padding_counts_as_zeros_in_an_average": ("avg_pool2d", doubled_with("padding")),
    "stride_leaves_out_maxima": ("max_pool2d", doubled_with("stride")),
    "stride_leaves_out_averages": ("avg_pool2d", doubled_with("stride")),
    "groups_are_separate_convolutions": ("conv2d", "groups_mixed"),
    "groups_are_separate_transposed_convolutions": ("conv_transpose2d", "transposed_groups_reversed"),
    "depthwise_convolution_takes_each_channel_alone": ("conv2d", "depthwise_multiplier_order"),
    "pointwise_convolution_is_a_matrix_product_over_channels": ("conv2d", last_column),
    "kernel_as_large_as_the_input_is_a_dense_layer": ("conv2d", "kernel_flipped"),
    "input_channels_have_no_order": ("conv2d", first_input_channel),
    "input_channels_of_a_transposed_convolution_have_no_order": ("conv_transpose2d", first_input_channel),
    "output_channels_follow_their_kernels": ("conv2d", first_output_channel),
    "transposed_output_channels_follow_their_kernels": ("conv_transpose2d", first_output_channel),
    "images_do_not_mix": ("conv2d", sum_of_all),
    "images_do_not_mix_in_a_transposed_convolution": ("conv_transpose2d", sum_of_all),
    "results_follow_their_images": ("conv2d", first_image),
    "transposed_results_follow_their_images": ("conv_transpose2d", first_image),
    "maxima_of_a_channel_are_its_own": ("max_pool2d", sum_of_all),
    "averages_of_a_channel_are_its_own": ("avg_pool2d", sum_of_all),
    "results_do_not_depend_on_the_batch": ("conv_transpose2d", batch_bit),
    "repeated_calls_agree_bit_for_bit": ("conv_transpose1d", result(sometimes)),
    "flipping_both_operands_flips_the_result": ("conv2d", first_column),
    "flipping_both_operands_flips_the_transposed_result": ("conv_transpose2d", first_column),
    "exchanging_axes_exchanges_those_of_the_convolution": ("conv2d", first_column),
    "exchanging_axes_exchanges_those_of_the_transposed_convolution": ("conv_transpose2d", first_column),
    "exchanging_axes_exchanges_those_of_the_maxima": ("max_pool2d", first_column),
    "exchanging_axes_exchanges_those_of_the_averages": ("avg_pool2d", first_column),
    "exchanging_axes_exchanges_those_of_the_signal_convolution": ("convolve", first_column),
    "exchanging_axes_exchanges_those_of_the_correlation": ("correlate", first_column),
    "separable_kernel_is_convolutions_along_one_axis_each": ("conv2d", first_column),
    "an_axis_of_size_one_can_be_left_out": ("conv2d", first_column),
    "an_output_sees_exactly_its_receptive_field": ("conv2d", "padding_shifted_right"),
    "a_maximum_sees_exactly_its_window": ("max_pool2d", "max_dilation_ignored"),
    "an_average_sees_exactly_its_window": ("avg_pool2d", rolled),
    "two_layers_see_the_predicted_receptive_field": ("conv2d", without_last_tap),
}
CLAIMED = Claims(deterministic=True, batch_invariant=True)


def correct():
    """Every operation, claiming what can be claimed, so that every law is required.

    Convolutions are summed directly: matrix products of blocks of the batch depend on how it is cut.
    """
    convolutions = {name for name in OPERATIONS if name.startswith("conv") and name != "convolve"}
    functions = {name: getattr(refconv, name) for name in OPERATIONS}
    direct = {name: partial(functions[name], method="direct") for name in convolutions}
    return Subject("right", {**functions, **direct}, CLAIMED)


def faulty(name, fault):
    """The same with one operation broken."""
    if isinstance(fault, str):
        broken = load(str(WRONG / f"{fault}.py"), {}).functions[name]
    else:
        broken = fault(getattr(refconv, name))
    return Subject("wrong", {**correct().functions, name: broken}, CLAIMED)


def test_no_law_lacks_a_rejected_implementation():
    assert set(REJECTED) == set(LAWS)


@pytest.mark.parametrize("name", LAWS)
def test_law_rejects(name):
    operation, fault = REJECTED[name]
    effort = Effort(examples=240, shrinks=False)
    record = LAWS[name].run(Judged(faulty(operation, fault), OPERATIONS[operation], effort))
    assert record.status == "violated", record
    assert "has shape" not in record.violation.reason  # broken by itself, not by what every call must keep


@pytest.mark.parametrize("name", LAWS)
def test_law_accepts_what_is_correct(name):
    operation = OPERATIONS[REJECTED[name][0]]
    record = LAWS[name].run(Judged(correct(), operation, Effort(examples=30)))
    assert record.status == "verified", record.violation
    assert record.declined == 0


# what a subject that can do one thing only says of itself: its calls must be no others
NARROW = {
    "conv2d": {"kernel_size": 3, "stride": 1, "padding": 1, "dilation": 1, "groups": 1},
    "conv1d": {"kernel_size": 4, "stride": 2, "padding": 0, "batch": 1, "input_size": 9, "in_channels": 3},
    "conv_transpose2d": {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1, "groups": 1},
    "max_pool2d": {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": False, "dilation": 1},
    "avg_pool2d": {"kernel_size": 2, "stride": 1, "padding": 1, "count_include_pad": False},
}


EVERY = _laws(*(path.stem.removeprefix("test_") for path in sorted((ROOT / "properties").glob("test_*.py"))))


@pytest.mark.parametrize("name", NARROW)
def test_laws_call_nothing_but_what_is_fixed(name):
    fix = NARROW[name]
    function, operation = getattr(refconv, name), OPERATIONS[name]

    strays = []  # also of calls that a law expects to fail

    def narrow(x, *weights, **arguments):
        said = {**operation.arguments, **arguments}
        sizes = {"batch": x.shape[:1], "in_channels": x.shape[1:2], "input_size": x.shape[2:]}
        if weights:
            sizes["kernel_size"] = weights[0].shape[2:]
        found = {**said, **sizes}
        strays.extend(n for n, v in fix.items() if n in found and not np.all(np.array(found[n]) == v))
        return function(x, *weights, **arguments)

    subject = Subject("narrow", {name: narrow}, scope=Scope(fix=fix))
    for law in EVERY.values():
        if law.kind in (operation.kind, "batched", "operation"):
            record = law.run(Judged(subject, operation, Effort(examples=30)))
            # a characteristic may be found not to hold: blocks of the batch change the order of sums
            fine = record.status in ("verified", "not applicable", *(() if record.required else ("absent",)))
            assert fine, (record.law, record.violation, record.reasons)
            assert not strays, (record.law, strays)


def test_laws_name_kinds():
    assert {law.kind for law in LAWS.values()} <= {*KINDS, "operation", "batched"}
