"""What asv measures of every commit: the package is the commit's, the work and the clock are the working tree's.

asv imports every module of this folder, so nothing else lies here. Every tracked figure is better when smaller, as asv
takes an increase for a regression: ratios are times in units of the other's time.
"""

import importlib.util
import os
import sys
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before numpy is loaded: threads that wait for each other measure the scheduler


def _beside(name):
    """A module of the working tree's package that needs nothing of it; older commits have none of that name."""
    path = Path(__file__).parents[2] / "refconv" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"{__name__}.{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


layers = _beside("workloads")
timing = _beside("timing")
