"""Against the exact value: every operation, on data that leave a correct kernel little room or none."""

from refconv import judge, strategies
from refconv.law import law


@law(case=strategies.cases, share=3.0)
def test_every_element_is_within_the_allowed_error(operation, case):
    """Each element of each result lies within the error that its class allows, none where all sums are exact."""
    results = operation(case)
    operation.observe(case, results)
    return judge.within(results, case, operation.claims(case))


@law(case=strategies.cases, characteristic="precision", share=1.0)
def test_precision_and_sensitivity_are_found_out(operation, case):
    """The strictest class that explains all results is found, and which standard faults would have been caught."""
    operation.observe(case, operation(case))
    operation.sensitivity.observe(judge.expect(case, operation.claims(case)))
