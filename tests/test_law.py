"""How a law is run: what it draws, counts and concludes."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

from refconv import judge, strategies
from refconv.claims import Claims
from refconv.judge import Violation
from refconv.law import ENOUGH, ROUNDS, Effort, Judged, law
from refconv.spec import OPERATIONS
from refconv.strategies import Scope
from refconv.subject import Declined, Subject

OP = OPERATIONS["convolve"]


def _convolve(in1, in2, mode="full"):
    import refconv

    return refconv.convolve(in1, in2, mode, method="direct")


def _judged(function=_convolve, examples=20, seed=0, shrinks=True, **keywords):
    return Judged(Subject("mine", {"convolve": function}, **keywords), OP, Effort(examples, seed, shrinks))


@law(case=strategies.cases, share=1.0)
def test_values_are_right(operation, case):
    """Each value is right."""
    return judge.within(operation(case), case, operation.claims(case))


right = test_values_are_right
right.__test__ = False
del test_values_are_right  # it is for us to run, not for pytest


def _law(body, **keywords):
    made = law(**keywords)(body)
    made.__test__ = False
    return made


def _wrong_where(condition):
    def convolve(in1, in2, mode="full"):
        out = np.array(_convolve(in1, in2, mode))
        if condition(in1, in2, mode):
            out.flat[0] += 1000
        return out

    return convolve


def test_a_law_that_holds():
    """Cases are counted by dtype, their features and the nearest approach to the bound kept."""
    record = right.run(_judged())
    assert (record.status, record.violation) == ("verified", None)
    assert record.cases == record.accepted == 20 and record.declined == 0
    assert sum(record.dtypes.values()) == 20 and set(record.dtypes) <= {"float32", "float64"}
    assert record.worst is not None and 0 <= record.worst <= 1
    assert (
        record.errors.total() == 20 and max(record.errors) == math.ceil(10 * record.worst) and min(record.errors) >= 0
    )
    assert record.rows and all(dict(row)["mode"] in ("full", "same", "valid") for row in record.rows)
    assert (record.law, record.statement, record.subject) == ("values_are_right", "Each value is right.", "mine")
    assert (record.operation, record.required, record.chapter) == ("convolve", True, "law")


def test_a_law_is_a_test():
    """Called as a test it raises the violation, or nothing."""
    assert right(operation=_judged()) is None
    with pytest.raises(Violation):
        right(operation=_judged(_wrong_where(lambda *_: True)))


def test_a_broken_law_is_brought_down_to_size():
    """The smallest case, its values zeros and ones; the search for it is not counted."""
    record = right.run(_judged(_wrong_where(lambda in1, in2, mode: in1.size >= 3), examples=100))
    assert record.status == "violated"
    case = record.violation.case
    assert sorted(case.operands["in1"].shape) in ([3], [4]) and case.operands["in2"].size <= 3
    assert set(np.unique(case.operands["in1"])) <= {0, 1}
    assert record.cases <= 101 and record.accepted < record.cases
    with pytest.raises(Violation):
        judge.within(_judged(_wrong_where(lambda in1, in2, mode: in1.size >= 3))(case), case, Claims())


def test_the_call_that_was_found_first_is_kept():
    """Beside the smallest: it says more of the fault."""
    seen = []

    def wrong(in1, in2, mode):
        if in1.size >= 3:
            seen.append(in1.shape)
        return in1.size >= 3

    violation = right.run(_judged(_wrong_where(wrong), examples=100)).violation
    assert violation.found.operands["in1"].shape == seen[0]
    assert violation.found is not violation.case
    alone = right.run(_judged(_wrong_where(wrong), shrinks=False)).violation
    assert alone.found is alone.case


def test_a_broken_law_without_shrinking():
    """The first failing case, as it was drawn."""
    record = right.run(_judged(_wrong_where(lambda *_: True), shrinks=False))
    assert record.status == "violated" and record.cases == 1


def test_the_seed_decides_what_is_drawn():
    """The same seed draws the same calls and finds the same; another draws others."""
    seen = {}
    for key, seed in (("a", 0), ("b", 0), ("c", 1)):
        calls = seen[key] = []

        def convolve(in1, in2, mode="full", calls=calls):
            calls.append((in1.tobytes(), in2.tobytes(), mode))
            return _convolve(in1, in2, mode)

        right.run(_judged(convolve, seed=seed))
    assert seen["a"] == seen["b"] != seen["c"]


def test_a_seed_draws_the_same_whatever_is_loaded(monkeypatch):
    """Also where loaded code is full of numbers that Hypothesis would like."""
    seen = []

    def convolve(in1, in2, mode="full"):
        seen.append((in1.tobytes(), in2.tobytes(), mode))
        return _convolve(in1, in2, mode)

    draws = []
    for numbers in ((), range(1, 60_000, 7)):
        full = providers.Constants()
        full.integers |= providers.SortedSet(numbers)
        monkeypatch.setattr(providers, "_get_local_constants", lambda full=full: full)
        providers.CONSTANTS_CACHE.cache.clear()
        seen.clear()
        right.run(_judged(convolve, examples=60))
        draws.append(list(seen))
    assert draws[0] == draws[1]


def test_each_law_draws_its_own():
    """Two laws with the same strategies do not see the same cases."""
    drawn = {}
    for name in ("test_one", "test_two"):

        def body(operation, case, name=name):
            drawn.setdefault(name, []).append(repr(case))

        body.__name__ = name
        _law(body, case=strategies.cases, share=1.0).run(_judged())
    assert drawn["test_one"] != drawn["test_two"]


# ------------------------------------------------------------------------------------------- declines


def _declining(accepts):
    """Accepts the calls whose number is given."""
    count = iter(range(10**6))

    def convolve(in1, in2, mode="full"):
        if next(count) not in accepts:
            raise NotImplementedError("not this one")
        return _convolve(in1, in2, mode)

    return convolve


def test_what_is_always_declined_is_not_verified():
    """Some rounds of more cases are tried, then nothing is concluded."""
    record = right.run(_judged(_declining(())))
    assert (record.status, record.accepted, record.worst) == ("unverified", 0, None)
    assert record.cases == record.declined == 20 * ROUNDS
    assert record.reasons == {"not this one": 20 * ROUNDS}


def test_too_few_accepted_calls_do_not_verify():
    """One less than enough is not enough."""
    assert right.run(_judged(_declining(range(ENOUGH - 1)))).status == "unverified"
    assert right.run(_judged(_declining(range(ENOUGH)))).status == "verified"


def test_rounds_end_when_enough_is_accepted():
    """A subject that accepts rarely gets more cases."""
    record = right.run(_judged(_declining(range(0, 10**6, 12))))
    assert record.status == "verified" and record.accepted >= ENOUGH
    assert 20 < record.cases < 20 * ROUNDS and record.accepted + record.declined == record.cases


def test_a_violation_counts_however_much_is_declined():
    """One wrong result is enough."""
    wrong = _declining((50,))

    def convolve(in1, in2, mode="full"):
        return wrong(in1, in2, mode) + 1

    record = right.run(_judged(convolve))
    assert record.status == "violated" and "not on every call" in str(record.violation)


def test_reasons_are_kept_in_bounds():
    """A subject that says something new each time does not fill the memory."""
    count = iter(range(10**6))

    def convolve(in1, in2, mode="full"):
        raise NotImplementedError(f"number {next(count)} " + "x" * 10_000)

    record = right.run(_judged(convolve))
    assert record.declined == 20 * ROUNDS and len(record.reasons) <= 20
    assert max(map(len, record.reasons)) < 300


def test_a_law_may_decline():
    """It is then as if the subject had."""

    def body(operation, case):
        raise Declined("not for this law")

    record = _law(body, case=strategies.cases).run(_judged())
    assert record.status == "unverified" and set(record.reasons) == {"not for this law"}


def test_a_law_between_operations():
    """Says nothing of a subject that has not both."""

    def body(operation, case):
        operation.sibling("conv1d")(case)

    record = _law(body, case=strategies.cases, share=1.0).run(_judged())
    assert record.status == "not applicable" and set(record.reasons) == {"has no conv1d"}
    assert record.cases == 20
    assert _judged().sibling("convolve") == _judged()


def test_arguments_held_fast_hold_in_derived_calls():
    """A law that changes one of them judges nothing by that call."""

    def body(operation, case):
        operation(replace(case, arguments={**case.arguments, "dilation": 2}))

    import refconv

    subject = Subject("mine", {"conv1d": refconv.conv1d}, scope=Scope(fix={"dilation": 1}))
    record = _law(body, case=strategies.cases).run(Judged(subject, OPERATIONS["conv1d"], Effort(20)))
    assert record.status != "verified" and not record.accepted
    assert set(record.reasons) == {"`dilation` is held fast"}


# ------------------------------------------------------------------------------------------- characteristics


def _broken(operation, case):
    """Never holds."""
    raise Violation("does not hold", case)


@pytest.mark.parametrize(
    ("characteristic", "claims", "status"),
    [
        ("deterministic", Claims(), "absent"),
        ("deterministic", Claims(deterministic=True), "violated"),
        ("subnormals=ieee", Claims(), "absent"),
        ("subnormals=ieee", Claims(subnormals="ftz"), "absent"),
        ("subnormals=ieee", Claims(subnormals="ieee"), "violated"),
        ("", Claims(), "violated"),
    ],
)
def test_a_characteristic_decides_only_if_claimed(characteristic, claims, status):
    """Otherwise what was found is recorded, not shrunk, not raised."""
    made = _law(_broken, case=strategies.cases, characteristic=characteristic)
    record = made.run(_judged(claims=claims))
    assert record.status == status and record.required == (status == "violated")
    assert record.violation is not None
    if status == "absent":
        assert record.cases == 1
        made(operation=_judged(claims=claims))
    else:
        with pytest.raises(Violation):
            made(operation=_judged(claims=claims))


def test_a_characteristic_that_holds():
    """Is verified, though it decides nothing."""
    record = _law(lambda operation, case: None, case=strategies.cases, characteristic="deterministic").run(_judged())
    assert record.status == "verified" and not record.required


# ------------------------------------------------------------------------------------------- the unusual


@pytest.mark.parametrize("period", [2, 3, 7])
def test_a_subject_that_is_wrong_now_and_then(period):
    """Is wrong, and the words say so."""
    count = iter(range(10**9))
    record = right.run(_judged(_wrong_where(lambda *_: next(count) % period == period - 1), examples=60))
    assert record.status == "violated"
    assert "outside the allowed error" in record.violation.reason
    if period > 2:
        assert "(not on every call)" in str(record.violation)


def test_several_things_are_drawn():
    """A fixed strategy, and a function of operation and scope, beside the case."""
    seen = []

    def body(operation, case, number, name):
        """Numbers stay below five."""
        seen.append((number, name))
        if number >= 5:
            raise Violation("too large", case)

    made = _law(
        body, case=strategies.cases, number=st.integers(0, 9), name=lambda op, scope: st.just((op.name, scope.dtypes))
    )
    record = made.run(_judged(examples=80, scope=Scope(dtypes=("float64",))))
    assert record.status == "violated" and record.violation.reason == "too large"
    assert {name for _, name in seen} == {("convolve", ("float64",))}
    assert seen[-1][0] >= 5  # the case is made small with the number that failed
    assert not any(a.any() for a in record.violation.case.operands.values())


def test_a_law_without_a_case():
    """A law may draw no case, and break without one."""

    def body(operation, number):
        if number > 3:
            raise Violation("too large")

    record = _law(body, number=st.integers(0, 9), share=1.0).run(_judged())
    assert record.status == "violated" and record.violation.case is None and not record.rows


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyError, AssertionError, ValueError], ids=lambda e: e.__name__)
def test_errors_of_the_law_go_through(error):
    """A fault in the law is no finding on the subject."""

    def body(operation, case):
        raise error("ours")

    with pytest.raises(error, match="ours"):
        _law(body, case=strategies.cases).run(_judged())


def test_errors_of_the_law_now_and_then_go_through():
    """Nor is it one where it does not come again."""
    count = iter(range(10**6))

    def body(operation, case):
        if next(count) == 3:
            raise KeyError("ours")

    with pytest.raises(Exception) as raised:
        _law(body, case=strategies.cases, share=1.0).run(_judged())
    assert not isinstance(raised.value, (Violation, IndexError, Declined))


@pytest.mark.parametrize("result", [np.zeros(2), np.zeros((99, 99), np.float32), None], ids=["short", "large", "none"])
def test_every_call_is_checked_for_its_form(result):
    """Whatever the law asks, a result of the wrong form breaks it."""
    record = _law(lambda operation, case: operation(case) and None, case=strategies.cases).run(
        _judged(lambda *_, **__: result)
    )
    assert record.status == "violated" and "must" in record.violation.reason


def test_what_was_drawn_is_kept_apart_from_the_call_that_is_wrong():
    """A law may call for another case than the one it is given: asked again, it is given the same."""

    def body(operation, case):
        """Twice the first signal gives twice the result."""
        doubled = case.with_operands(in1=2 * case.operands["in1"])
        judge.within(operation(doubled), doubled, operation.claims(doubled))

    record = _law(body, case=strategies.cases).run(_judged(_wrong_where(lambda in1, in2, mode: in1.size >= 3)))
    drawn, wrong = record.values["case"].operands["in1"], record.violation.case.operands["in1"]
    assert record.status == "violated" and np.array_equal(2 * drawn, wrong) and wrong.any()
