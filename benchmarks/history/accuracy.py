"""Worst errors in units of the bound, and what exact values cost: deterministic, or ratios in one process."""

import numpy as np

from . import layers, timing

METHODS = ["auto", "direct", "im2col", "fft", "winograd"]
SEEDS = range(20)


class Error:
    """The largest error of 20 calls in units of the largest that direct summation can make; above 1 is its own class.

    The commit's exact values and bound are used, so a step is a change of the method, of the values or of the bound.
    """

    params = (METHODS, layers.DTYPES)
    param_names = ("method", "dtype")
    version = "2 images, 8 channels, 14x14, 3x3; uniform"

    def track_worst(self, method, dtype):
        import refconv
        from refconv import bound, exact
        from refconv.spec import OPERATIONS, Case

        worst = 0.0
        for seed in SEEDS:
            rng = np.random.default_rng(seed)
            x, w = (rng.random(shape, dtype) - np.dtype(dtype).type(0.5) for shape in ((2, 8, 14, 14), (8, 8, 3, 3)))
            case = Case(OPERATIONS["conv2d"], {"input": x, "weight": w}, {"padding": 1}, dtype)
            truth, allowed = exact.values(case)["output"], bound.allowed(case, bound.Claims())["output"]
            found = refconv.conv2d(x, w, padding=1, method=method).astype(np.float64)
            worst = max(worst, float((np.abs((found - truth.high) - truth.low) / (allowed + truth.error)).max()))
        return worst

    track_worst.unit = "of the bound"


class Exact:
    """Time of exact values in units of our own float64 convolution of the same layer."""

    params = (["resnet-64@56", "alexnet-3x3"], layers.DTYPES)
    param_names = ("layer", "dtype")
    version = layers.version()

    def track_cost(self, layer, dtype):
        from dataclasses import replace

        import refconv
        from refconv import exact
        from refconv.spec import OPERATIONS, Case

        workload = next(layers.workloads([layer], (1,), (dtype,)))
        operands = workload.operands(0)
        case = Case(OPERATIONS[workload.operation], operands, workload.arguments, dtype)
        wide = [a.astype(np.float64) for a in operands.values()]
        calls = {
            "exact": lambda: exact.values(replace(case)),  # a case's own values are kept
            "ours": lambda: refconv.conv2d(*wide, **workload.arguments),
        }
        times = timing.interleaved(calls)
        return timing.ratio(times["exact"], times["ours"]).median

    track_cost.unit = "x float64 convolution"
