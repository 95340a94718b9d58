"""What every call keeps, whatever it computes: form, memory, state, and refusal of what cannot be."""

from dataclasses import replace

import numpy as np

from refconv import families, judge, strategies
from refconv.judge import Violation
from refconv.law import NotApplicable, law
from refconv.relations import SEEDS, drawn
from refconv.subject import Declined


def _other(case, seed):
    """The same call on fresh data."""
    shapes = {name: a.shape for name, a in case.operands.items()}
    return replace(case, operands=families.fill("normal", shapes, families.Room(case.dtype, 1), seed))


def _rearranged(case):
    """The same call on the same numbers in another order; first and last element and the sum stay."""
    operands = {}
    for name, array in case.operands.items():
        flat = array.ravel().copy()
        flat[1:-1] = flat[1:-1][::-1]
        operands[name] = flat.reshape(array.shape)
    return replace(case, operands=operands)


def _transposed(case):
    """The call with its last two axes exchanged, operands and arguments alike; None where there are none."""
    if case.operation.rank < 2 or case.settings.get("padding") in ("same", "valid"):
        return None
    operands = {
        name: np.ascontiguousarray(np.swapaxes(a, -1, -2)) if a.ndim > 1 else a for name, a in case.operands.items()
    }
    arguments = {
        name: (*value[:-2], value[-1], value[-2]) if isinstance(value, tuple) else value
        for name, value in case.arguments.items()
    }
    return replace(case, operands=operands, arguments=arguments)


@law(case=strategies.cases)
def test_results_have_the_shape_and_dtype_of_the_call(operation, case):
    """Each result has the shape that the arguments give and the dtype of the operands."""
    judge.form(operation(case), case)


@law(case=drawn(families=("normal", "positive", "ties", "negative")))
def test_finite_operands_give_finite_results(operation, case):
    """Moderate finite operands give finite results."""
    if operation.operation.kind.startswith("max_pool") and 0 in case.operands["input"].shape[2:]:
        raise Declined("no data")
    for name, array in operation(case).items():
        if not np.isfinite(array.astype(np.complex128)).all():
            raise Violation(f"`{name}` is not finite", case, result=name)


@law(case=drawn(layouts=("contiguous", "transposed", "strided")))
def test_operands_are_left_as_they_were(operation, case):
    """A call changes none of its operands, not by a bit."""
    judge.untouched(operation.call(case).handed, case)


@law(case=strategies.cases)
def test_operands_may_lie_in_memory_in_any_way(operation, case):
    """Transposed, strided, reversed, read-only or inset operands give what contiguous ones give."""
    arranged, plain = operation.enclosed(case), operation.enclosed(replace(case, layout="contiguous"))
    for name, interval in arranged.items():
        judge.overlap(interval, plain[name], case, f"`{name}` depends on the operands' memory layout", name)


@law(case=drawn(layouts=("inset",), families=("normal", "ties")))
def test_nothing_outside_the_operands_is_read(operation, case):
    """Operands that lie inside a larger array of NaN give results without a NaN."""
    for name, array in operation(case).items():
        if np.isnan(array.astype(np.complex128)).any():
            raise Violation(f"`{name}` holds a NaN that is none of the operands'", case, result=name)


@law(case=drawn(layouts=("contiguous",), families=("normal", "ties")), seed=SEEDS)
def test_results_own_their_memory(operation, case, seed):
    """A result shares no memory with an operand, and no later call changes it."""
    first = operation.call(case, keep=True)
    for result, name in first.shared:
        raise Violation(f"`{result}` lies in the memory of operand `{name}`", case, result=result)
    for later in range(8):
        operation(_other(case, seed + later))
    for name, array in first.present().items():
        judge.same_bits(array, first.results[name], case, f"`{name}` was changed by a later call", name)


@law(case=drawn(families=("denseint", "ties")), seed=SEEDS)
def test_a_call_does_not_remember_the_one_before(operation, case, seed):
    """Calls on other data, on the same numbers in another order or on other shapes leave no trace in the next."""
    for call in (_other(case, seed), case, _rearranged(case), _transposed(case), _other(case, seed + 1)):
        if call is not None:
            judge.within(operation(call), call, operation.claims(call))


@law(case=drawn(families=("denseint", "ties"), layouts=("contiguous", "strided")), seed=SEEDS)
def test_new_values_in_the_same_memory_give_a_new_result(operation, case, seed):
    """Operands overwritten in place are read anew."""
    first = operation.call(_other(case, seed), keep=True)
    judge.within(operation.call(case, memory=first).results, case, operation.claims(case))


@law(case=drawn(families=("denseint", "ties")), seed=SEEDS)
def test_a_call_is_right_however_often_it_is_made(operation, case, seed):
    """The third and the twelfth call of a kind are as right as the first, on the same operands and on fresh ones."""
    claims, right = operation.claims(case), {}
    for turn in range(12):
        results = operation(case)
        if {name: a.tobytes() for name, a in results.items()} != right:  # what was right before is right again
            judge.within(results, case, claims)
            right = {name: a.tobytes() for name, a in results.items()}
        if turn % 3 == 2:
            other = _other(case, seed + turn)
            judge.within(operation(other), other, operation.claims(other))


_LARGE = {1: 33_000, 2: 183, 3: 33}  # more than 2^15 elements of one channel


def _large(operation, scope):
    size = _LARGE[operation.rank]
    fix = {"input_size": size, "kernel_size": 1, "batch": 1, "stride": 1, **scope.fix}
    if operation.kind.startswith("conv"):
        fix = {"in_channels": 1, "out_channels": 1, "groups": 1, **fix}
    return strategies.cases(operation, replace(scope, fix=fix, layouts=("contiguous",)))


@law(case=_large, share=0.05)
def test_large_results_are_right_everywhere(batched, case):
    """Results of more elements than 16 bits count are right to the last one."""
    judge.within(batched(case), case, batched.claims(case))


@law(case=drawn(fix={"batch": 0}))
def test_an_empty_batch_gives_an_empty_result(batched, case):
    """No images in, no images out; gradients of shared parameters are zero."""
    if len(case.operands["input"]):
        raise NotApplicable("`batch` is held fast")
    for name, array in batched(case).items():
        judge.same_bits(array, np.zeros_like(array), case, f"`{name}` of an empty batch is not zero", name)


@law(case=strategies.cases)
def test_global_random_state_is_left_alone(operation, case):
    """Neither Python's nor NumPy's global random generator is moved or seeded."""
    for name in operation.call(case, watch=True).disturbed:
        raise Violation(f"the state of `{name}` was changed", case)


@law(case=drawn(layouts=("contiguous",), fix={"batch": 1}))
def test_operands_that_do_not_match_are_refused(conv, case):
    """Input and weight whose channels cannot belong together raise, whatever they raise."""
    x, w = case.operands["input"], case.operands["weight"]
    if "in_channels" in conv.subject.scope.fix:
        wrong = case.with_operands(weight=np.concatenate([w, w[:, :1]], axis=1))
        _must_raise(conv, wrong, f"kernels of {w.shape[1] + 1} channels were accepted where {w.shape[1]} belong")
        return
    wrong = case.with_operands(input=np.concatenate([x, x[:, :1]], axis=1))
    _must_raise(conv, wrong, f"{x.shape[1] + 1} input channels were accepted where {x.shape[1]} belong")


@law(case=drawn(layouts=("contiguous",), fix={"batch": 1, "groups": 1}))
def test_groups_that_do_not_divide_the_channels_are_refused(conv, case):
    """A number of groups that does not divide the channels raises."""
    x, w = case.operands["input"], case.operands["weight"]
    groups = x.shape[1] + 1
    weight = np.repeat(w[:, :1], groups, axis=0)[: groups * w.shape[0]]
    operands = {"input": x, "weight": np.ascontiguousarray(weight)}
    wrong = replace(case, operands=operands, arguments={**case.arguments, "groups": groups})
    _must_raise(conv, wrong, f"`groups` (={groups}) was accepted for {x.shape[1]} input channels")


@law(case=drawn(layouts=("contiguous",), fix={"batch": 1, "padding": 0}))
def test_a_kernel_larger_than_the_input_gives_nothing(conv, case):
    """A kernel that fits nowhere raises, or gives a result without elements."""
    w = case.operands["weight"]
    size = tuple(n + 1 for n in case.operands["input"].shape[2:])
    wrong = case.with_operands(weight=np.ones((*w.shape[:2], *size), dtype=w.dtype))
    wrong = replace(wrong, arguments={**case.arguments, "padding": 0})
    _must_raise(conv, wrong, "a kernel larger than the input gave a result", empty=True)


def _must_raise(judged, case, reason, empty=False):
    try:
        results = judged.attempt(case)
    except NotApplicable:
        raise
    except Exception:
        return
    if not (empty and all(a.size == 0 for a in results.values())):
        shapes = ", ".join(f"{name} {a.shape}" for name, a in results.items())
        raise Violation(f"{reason}: {shapes}", case)


@law(case=drawn(families=("subnormal",)), characteristic="subnormals=ieee")
def test_subnormal_numbers_are_kept(operation, case):
    """No operand, product, sum or result that is subnormal is flushed to zero."""
    return judge.within(operation(case), case, replace(operation.claims(case), subnormals="ieee"))
