"""The clock around one call of a subject, in the subject's process; and a glance at the result as soon as it stops.

What is glanced at are elements at places that nobody could know before, a few microseconds after the call returned.
Where they differ from the result that is handed over later, the work went on after the clock had stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from refconv.dtypes import Array
from refconv.spec import Case
from refconv.subject import Failure, Subject

__all__ = ["Reading", "timed"]

GLANCED = 256  # elements of each result
FLUSHED = 1 << 28  # bytes written before a call on a device: more than any second-level cache holds


@dataclass(frozen=True)
class Reading:
    """Seconds, and for each result the flat places glanced at with what stood there."""

    seconds: float
    glances: dict[str, tuple[list[int], list[float]]]

    def changed(self, results: dict[str, Array]) -> str:
        """The result that is not what it was when the clock stopped; empty where all are."""
        for name, (places, values) in self.glances.items():
            now = results[name].ravel()[places].astype(np.float64) if places else np.zeros(0)
            if not np.array_equal(now, np.asarray(values, np.float64), equal_nan=True):
                return name
        return ""


def timed(subject: Subject, case: Case, given: dict[str, Any]) -> tuple[dict[str, Array], Reading]:
    """One call between two readings of the clock; its results as views of the memory that came back.

    Raises what the subject raises, Failure where it returns something else than arrays of exactly its own kind:
    another kind could leave the work to whoever reads it.
    """
    call = subject.prepared(case, given)
    raw, seconds = _on_host(call) if subject.device == "cpu" else _on_device(call, subject.device)
    returned = subject.returned(case, raw)
    glances = {name: _glance(array) for name, array in returned.items()}
    for value in raw if isinstance(raw, (tuple, list)) else (raw,):
        if type(value).__module__.partition(".")[0] not in ("numpy", "torch"):
            raise Failure(f"returned a {type(value).__name__}, but is only timed where it returns plain arrays")
    return returned, Reading(seconds, glances)


def _on_host(call: Callable[[], Any]) -> tuple[Any, float]:
    start = perf_counter()
    raw = call()
    return raw, perf_counter() - start


def _on_device(call: Callable[[], Any], device: str) -> tuple[Any, float]:
    """By events on that very device; all its streams are waited for before the second one, so that work on another
    stream counts."""
    import torch

    with torch.cuda.device(device):
        torch.empty(FLUSHED, dtype=torch.int8, device=device).zero_()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(device)
        start.record()
        raw = call()
        torch.cuda.synchronize(device)
        end.record()
        end.synchronize()
    return raw, start.elapsed_time(end) / 1e3


def _glance(array: Array) -> tuple[list[int], list[float]]:
    """From the system's entropy, drawn now: a generator that existed before the call could have been looked into."""
    if array.size == 0:
        return [], []
    places = np.frombuffer(os.urandom(8 * GLANCED), np.uint64) % array.size
    values = array.flat[places.astype(np.intp)]
    return places.tolist(), values.astype(np.float64).tolist()
