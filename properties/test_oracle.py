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
def test_the_strictest_precision_class_is_found(operation, case):
    """Results go on being observed where the law above has ended with a violation."""
    operation.observe(case, operation(case))
