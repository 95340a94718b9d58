"""Agreement with refconv's own algorithms, each under its own error class."""

from dataclasses import replace
from functools import cache

from refconv import exact, judge, strategies
from refconv.adapters import ADAPTERS
from refconv.law import Judged, law
from refconv.subject import Declined


@law(case=strategies.cases, share=0.15)
def test_agrees_with_every_reference(operation, case):
    """Each way that refconv has to compute the call gives the same result, within the errors of both."""
    own, claims = operation(case), operation.claims(case)
    _check_determined(case, claims)
    enclosed = judge.enclosures(own, case, claims)
    for reference in _references(case.operation):
        try:
            other = reference(case)
        except Declined:
            continue  # not every way computes every call
        reason = f"the result differs from that of {reference.subject.name}"
        theirs = replace(reference.claims(case), subnormals="ieee")  # NumPy flushes none
        for name, interval in judge.enclosures(other, case, theirs).items():
            judge.overlap(enclosed[name], interval, case, reason, name)


@cache
def _references(op):
    """Every adapter of ours that has the operation."""
    # `fastest` is one of the others, which one depends on the machine.
    ours = [adapter() for name, adapter in ADAPTERS.items() if name.startswith("refconv-") and "fastest" not in name]
    return [Judged(subject, op) for subject in ours if op in subject.operations]


def _check_determined(case, claims):
    """A gradient that may be split among ties in any way need not agree with ours, which goes to the first."""
    if case.operation.kind == "max_pool_backward" and claims.ties == "any":
        low, high = exact.tie_range(case)
        if (low != high).any():
            raise Declined("a tie may be split in any way")
