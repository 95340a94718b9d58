"""What this machine can do at most: the rate of a matrix product and that of moving memory, measured.

Both are ceilings for the roofline [Williams, Waterman, Patterson 2009], so each is the best of many runs. The rate of
memory depends on where the data are: it is measured for several sizes, and a call is held against the largest size
that is not larger than what it must move, in the thread's own cache if it fits there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

__all__ = ["Peak", "measured"]

ORDERS = (256, 512, 1024)  # of the matrices that are multiplied
SIZES = tuple(1 << n for n in range(14, 27, 2))  # bytes moved, half of them read
SECONDS = 0.15  # spent on each figure


@dataclass(frozen=True)
class Peak:
    """Flop/s of the product by dtype, and (bytes, bytes/s) in rising order; of all threads together."""

    product: Mapping[str, float]
    memory: tuple[tuple[int, float], ...]

    def bandwidth(self, size: int) -> float:
        """Bytes/s of a call that must move so many: the best at that size or a larger one, which is no faster.

        >>> Peak({}, ((1000, 9e9), (4000, 5e9))).bandwidth(3000)
        9000000000.0
        """
        held = max((least for least, _ in self.memory if least <= size), default=0)
        return max(rate for least, rate in self.memory if least >= held)

    def best(self, other: Peak) -> Peak:
        """The higher of each: a ceiling that was measured while the machine was busy is none."""
        product = {name: max(rate, other.product[name]) for name, rate in self.product.items()}
        pairs = zip(self.memory, other.memory, strict=True)
        return Peak(product, tuple((size, max(rate, again)) for (size, rate), (_, again) in pairs))


def measured(threads: int, dtypes: tuple[str, ...], device: str = "cpu") -> Peak:
    """In a process of its own, which inherits the number of threads. A dtype no product is known of is left out."""
    code = "import sys; from refconv.peak import main; main(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(threads), ",".join(dtypes), device]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the peak of this machine could not be measured: {done.stderr[-500:]}")
    found = json.loads(done.stdout)
    return Peak(found["product"], tuple((size, rate) for size, rate in found["memory"]))


def main(threads: str, dtypes: str, device: str) -> None:
    """Prints the figures as JSON."""
    torch = _torch()
    product = {name: rate for name in dtypes.split(",") if (rate := _product(name, device, torch))}
    print(json.dumps({"product": product, "memory": [(size, _memory(size, device, int(threads))) for size in SIZES]}))


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        return None
    return torch


def _product(dtype: str, device: str, torch: Any) -> float:
    """The best rate of NumPy's product and of PyTorch's, TF32 allowed: a ceiling for either."""
    rates = [0.0]
    for order in ORDERS:
        if device == "cpu" and dtype in ("float32", "float64"):
            a: Any = np.ones((order, order), dtype)
            out = np.empty_like(a)
            rates.append(2 * order**3 / _shortest(partial(np.matmul, a, a, out=out)))
        if torch is not None:
            torch.backends.cuda.matmul.allow_tf32 = True
            side = order if device == "cpu" else 8 * order
            t = torch.ones((side, side), dtype=getattr(torch, dtype), device=device)
            rates.append(2 * side**3 / _shortest(partial(torch.mm, t, t), partial(_wait, torch, device)))
    return max(rates)


def _memory(size: int, device: str, threads: int) -> float:
    """The better rate of copying and of reading alone; of one thread, times their number, which is never too low."""
    if device != "cpu":
        import torch

        t = torch.ones(4 * size, dtype=torch.uint8, device=device)
        out = torch.empty_like(t)
        return 8 * size / _shortest(partial(out.copy_, t), partial(_wait, torch, device))
    a = np.ones(size // 16)
    b, whole = np.empty_like(a), np.ones(size // 8)
    copied = _shortest(lambda: np.copyto(b, a))
    read = _shortest(lambda: np.dot(whole, whole))
    return threads * size / min(copied, read)


def _wait(torch: Any, device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def _shortest(call: Callable[[], Any], wait: Callable[[], None] = lambda: None) -> float:
    """The shortest of many runs, each of at least ten microseconds."""
    call()
    wait()
    best, repeats = float("inf"), 1
    end = perf_counter() + SECONDS
    while perf_counter() < end:
        start = perf_counter()
        for _ in range(repeats):
            call()
        wait()
        took = perf_counter() - start
        if took < 1e-5:
            repeats *= 2
            continue
        best = min(best, took / repeats)
    return best
