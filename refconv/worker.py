"""Runs one subject in a process of its own: takes calls on operands in shared memory, puts the results beside them.

What this process says is a claim and no more: the exact value, the bound and the comparison stay with the judge.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from refconv import clock
from refconv.adapters import ADAPTERS
from refconv.dtypes import Array, numpy_dtype
from refconv.messages import received, send
from refconv.spec import OPERATIONS, Case
from refconv.subject import Declined, Failure, Lost, Subject, TargetError, load, merge, shared, short

__all__ = ["main"]

SHORT = 0.01  # seconds: a call that was shorter is made once untimed before it is timed
KEPT = 4  # calls whose operands and results are still there


def main(requests: int, replies: int, memory: int) -> None:
    """Answer until the other side closes."""
    server = _Server(memory)
    while (request := received(requests)) is not None:
        send(replies, server.answer(request))
    os._exit(0)  # threads of the subject's are not waited for


class _Server:
    def __init__(self, memory: int) -> None:
        self.file, self.owner = memory, os.getpid()
        self.view: mmap.mmap | None = None
        self.subjects: list[Subject] = []
        self.kept: dict[int, tuple[dict[str, Any], dict[str, Array]]] = {}
        self.seconds = 0.0  # what the last timed call took

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["do"] == "load":
            return self._load(request)
        if request["do"] == "try":
            return self._try(request)
        self._map(request["size"])
        if request["do"] == "present":
            _, returned = self.kept[request["of"]]
            return self._placed(returned, (), request["at"], request["size"])
        return self._call(request)

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            self.subjects = merge([load(target, ADAPTERS) for target in request["targets"]])
        except TargetError as error:
            return {"error": str(error)}
        _limit(request["memory"])
        return {"subjects": [_described(s) for s in self.subjects]}

    def _try(self, request: dict[str, Any]) -> dict[str, Any]:
        subject = replace(self.subjects[request["subject"]], **request["about"])
        try:
            subject.seen(subject.hand_over(np.zeros(1, numpy_dtype(request["dtype"]))))
        except Exception as error:  # each library has its own
            return {"unable": f"{type(error).__name__}: {short(error)}"}
        return {}

    def _map(self, size: int) -> None:
        if self.view is None or len(self.view) != size:
            self.view = mmap.mmap(self.file, size)  # arrays in an older one keep it

    def _call(self, request: dict[str, Any]) -> dict[str, Any]:
        subject = replace(self.subjects[request["subject"]], **request["about"])
        arrays = {name: self._array(place) for name, place in request["operands"].items()}
        arguments = {name: _tuples(value) for name, value in request["arguments"].items()}
        inner = {name: subject.axes_in(a) for name, a in arrays.items()}
        case = Case(OPERATIONS[request["operation"]], inner, arguments, request["dtype"])
        if request["again"] is None:
            given = {name: subject.hand_over(a) for name, a in arrays.items()}
        else:
            given, _ = self.kept[request["again"]]
            if request["do"] == "time" and self.seconds < SHORT:
                self._warm(subject, case, given)
            subject.overwrite(given, arrays)
        reading = {}
        try:
            if request["do"] == "time":
                returned, found = clock.timed(subject, case, given)
                self.seconds, reading, disturbed = found.seconds, vars(found), ()
            elif request["do"] == "attempt":
                returned, disturbed = subject.run(case, given), ()
            else:
                returned, disturbed = subject.answer(case, given, request["watch"])
        except Declined as error:
            return {"declined": str(error)}
        except Failure as error:
            return {"failure": str(error), "lost": isinstance(error, Lost)}
        except BaseException as error:
            return {"raised": f"{type(error).__name__}: {error}"[:500]}
        finally:
            self._only_one()
        if subject.library.copies:
            self._written_back(subject, given, request["held"])
        if request["keep"] is not None:
            self.kept[request["keep"]] = given, returned
            while len(self.kept) > KEPT:
                del self.kept[next(iter(self.kept))]
        handed = {name: subject.seen(a) for name, a in given.items()}
        answer = self._placed(returned, shared(returned, handed), request["at"], request["size"])
        return {**answer, **reading, "disturbed": list(disturbed)}

    def _warm(self, subject: Subject, case: Case, given: dict[str, Any]) -> None:
        """A call on the values before: code and caches are as warm as within a series of calls."""
        with contextlib.suppress(Exception):
            subject.prepared(case, given)()

    def _only_one(self) -> None:
        """A fork of the subject's that returns here has nothing to say."""
        if os.getpid() != self.owner:
            os._exit(0)

    def _array(self, place: dict[str, Any], writeable: bool = False) -> Array:
        dtype, view = numpy_dtype(place["dtype"]), self.view
        assert view is not None
        array: Array = np.ndarray(place["shape"], dtype, view, place["at"], place["strides"])
        array.flags.writeable = writeable or place["writeable"]
        return array

    def _written_back(self, subject: Subject, given: dict[str, Any], places: dict[str, Any]) -> None:
        """What a library works on may be a copy of what was handed over: show what became of it."""
        for name, place in places.items():
            after, there = subject.seen(given[name]), self._array(place, writeable=True)
            if after.shape == there.shape and not np.may_share_memory(after, there):
                there[...] = after

    def _placed(
        self, results: dict[str, Array], overlaps: tuple[tuple[str, str], ...], at: int, size: int
    ) -> dict[str, Any]:
        """The results copied behind the operands; one that has no room or no plain dtype is only described."""
        out = {}
        for name, array in results.items():
            about: dict[str, Any] = {"shape": list(array.shape), "dtype": array.dtype.name, "at": None}
            if not array.dtype.hasobject and array.dtype.isnative and at + array.nbytes <= size:
                about["at"] = at
                view: Any = self.view
                np.ndarray(array.shape, array.dtype, view, at)[...] = array
                at += -(-array.nbytes // 64) * 64
            out[name] = about
        return {"results": out, "shared": [list(pair) for pair in overlaps]}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _described(subject: Subject) -> dict[str, Any]:
    claims = {name: getattr(subject.claims, name) for name in subject.claims.__dataclass_fields__}
    about = {"name": subject.name, "functions": list(subject.functions), "claims": claims, "array": subject.array}
    return {**about, "held": dict(subject.held), "scope": vars(subject.scope), "library": _library(subject)}


def _library(subject: Subject) -> str:
    """The library of a short name, or the package that the functions are of, with its version where it states one."""
    if (adapter := ADAPTERS.get(subject.name)) is not None and adapter.needs:
        return f"{adapter.needs.split()[0]} {adapter.version}".rstrip()
    for function in subject.functions.values():
        package = (getattr(function, "__module__", None) or "").partition(".")[0]
        known = getattr(sys.modules.get(package), "__version__", None)
        if known is not None and not package.startswith("refconv"):  # nor a file, which is imported as refconv_subject_
            return f"{package} {known}"
    return ""


def _limit(memory: int) -> None:
    """Address space for so many bytes more than are in use."""
    if memory:
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
