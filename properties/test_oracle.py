"""Against the exact value: every operation, on data that leave a correct kernel little room or none."""

from refconv import judge, strategies
from refconv.law import law


@law(case=strategies.cases, share=3.0)
def test_every_element_is_within_the_allowed_error(operation, case):
    """Each element of each result lies within the error that its class allows, none where all sums are exact."""
    return judge.within(operation(case), case, operation.claims(case))
