"""Keeps the process a subject runs in: hands calls over, limits time and memory, and says how it ended.

The subject is loaded, called and crashed in a process of its own (`worker`), whose parent is not the judge (`keeper`).
Operands lie in memory between guard bytes; they and the guards are compared here after every call. What comes back is
data: nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import math
import mmap
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from refconv.claims import Claims
from refconv.clock import Reading
from refconv.dtypes import Array, numpy_dtype
from refconv.features import Scope
from refconv.interpreter import Interpreter
from refconv.messages import LENGTH, send
from refconv.spec import Case
from refconv.subject import Call, Declined, Failure, Subject, TargetError, arrange, short

__all__ = ["Ended", "Isolated", "Limits", "Timed", "isolated"]

GUARD = 256  # bytes before and behind every operand
KEEPER = Path(__file__).with_name("keeper.py")
IMPORT_TIME = 120.0  # seconds that loading a target may take
LONGEST = 1 << 20  # bytes of a reply
PRINTED = 1 << 20  # bytes of output kept of all calls so far
REMEMBERED = 512  # calls that a violation may turn out to depend on
ROOM = 1 << 16  # bytes for results beyond those that are expected


@dataclass(frozen=True)
class Limits:
    """What one call may take: seconds, and bytes beyond those in use once the subject is loaded (0: any)."""

    timeout: float = 10.0
    memory: int = 8 << 30


class Raised(Exception):
    """What the subject raised on a call that may be impossible."""


class Ended(Failure):
    """The process is gone: by itself, by a signal, or because it took too long."""


def isolated(
    targets: Sequence[str], limits: Limits, python: Interpreter | None = None, named: bool = False
) -> list[Subject]:
    """The subjects of targets that belong together, in one process, of another Python if that is to run them.

    Only a short name (`named`) says which calls are drawn: a subject that said it of itself could leave out those that
    it gets wrong. Raises TargetError as `load` does.
    """
    process = _Process(list(targets), limits, python)
    subjects: list[Subject] = []
    for number, said in enumerate(process.started()):
        functions = dict.fromkeys(said["functions"], _elsewhere)
        held, scope = _tuples(said["held"]), Scope(**_tuples(said["scope"])) if named else Scope()
        about = {"array": said["array"], "held": held, "scope": scope, "process": process, "number": number}
        about["interpreter"] = python and replace(python, library=short(said["library"]))
        subjects.append(Isolated(said["name"], functions, Claims(**said["claims"]), **about))
    return subjects


def _tuples(said: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in said.items()}


def _elsewhere(*operands: Any, **arguments: Any) -> NoReturn:
    raise AssertionError("the subject's functions are in another process")


@dataclass(frozen=True)
class _Kept:
    """A call whose operands and results are still in the other process."""

    number: int
    life: int
    places: dict[str, Any]


@dataclass(frozen=True)
class Timed:
    """What a timed call gave, its operands afterwards, its seconds, and those until the reply was here."""

    results: dict[str, Array]
    handed: dict[str, Array]
    seconds: float
    passed: float


def _given_up(reply: dict[str, Any]) -> None:
    """Raises Declined or Failure where the reply says that there is no result."""
    if "declined" in reply:
        raise Declined(short(reply["declined"]))
    if "failure" in reply:
        raise Failure(short(reply["failure"]))
    if "raised" in reply:
        raise Failure(f"raised {short(reply['raised'])}")


@dataclass(frozen=True)
class Isolated(Subject):
    """A subject in a process of its own; a call that ends it is a Failure, and the next one starts another."""

    process: Any = field(default=None, compare=False, repr=False)
    number: int = 0

    @property
    def printed(self) -> str:
        """The end of what the subject printed since `listen`."""
        text: str = self.process.printed()
        return text

    @property
    def history(self) -> Sequence[Case]:
        return tuple(self.process.calls)

    def renewed(self) -> bool:
        self.process.end()
        return True

    def listen(self) -> None:
        self.process.forget()

    def call(self, case: Case, memory: Call | None = None, keep: bool = False, watch: bool = False) -> Call:
        reply, places = self._asked("call", case, memory, keep, watch)
        _given_up(reply)
        handed = self._handed(places)
        kept = _Kept(self.process.turn, self.process.life, places)
        results = self._taken(reply, case)
        try:
            shared = tuple((short(r), short(o)) for r, o in reply["shared"])
            disturbed = tuple(map(short, reply["disturbed"]))
        except (KeyError, TypeError, ValueError):
            self.process.forged()
        return Call(results, handed, {"": kept}, lambda: self._present(kept, case), shared, disturbed)

    def timed(self, case: Case, memory: Call) -> Timed:
        """One call on new values in the memory of the operands of another, by its process's clock and by ours.

        Raises Failure where the call fails, or where the clock of its process cannot be true.
        """
        start = time.perf_counter()
        reply, places = self._asked("time", case, memory, False, False)
        passed = time.perf_counter() - start
        _given_up(reply)
        results = self._taken(reply, case)
        try:
            glances = {name: (list(map(int, at)), list(map(float, v))) for name, (at, v) in reply["glances"].items()}
            reading = Reading(float(reply["seconds"]), glances)
            changed = reading.changed(results)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            self.process.forged()
        if changed:
            raise Failure(f"`{changed}` was still being written when the call had returned")
        if not 0 < reading.seconds <= passed:
            raise Failure(f"its clock says {reading.seconds:g} seconds of a call that took {passed:g} with its reply")
        return Timed(results, self._handed(places), reading.seconds, passed)

    def _handed(self, places: dict[str, Any]) -> dict[str, Array]:
        """The operands as they are now."""
        return {name: np.array(self.axes_in(self.process.array(place))) for name, place in places.items()}

    def attempt(self, case: Case) -> dict[str, Array]:
        reply, _ = self._asked("attempt", case, None, False, False)
        if "declined" in reply:
            raise Declined(short(reply["declined"]))
        if "results" not in reply:
            raise Raised(short(reply.get("raised") or reply.get("failure")))
        return self._taken(reply, case)

    def unable(self, dtype: str) -> str:
        """Why the process cannot make an array of a dtype on the device; empty where it can."""
        message = {"do": "try", "subject": self.number, "about": self._about, "dtype": dtype}
        return short(self.process.asked(message, 0, 0).get("unable", ""))

    @property
    def _about(self) -> dict[str, str]:
        return {"array": self.array, "device": self.device, "layout": self.layout}

    def _asked(
        self, do: str, case: Case, memory: Call | None, keep: bool, watch: bool
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        before = memory.given[""] if memory else None
        if before is not None and before.life != self.process.life:
            raise Declined("the process of the call before is gone")
        operands = {name: self.axes_out(a) for name, a in case.operands.items()}
        start = max((p["end"] for p in before.places.values()), default=0) if before else 0
        layout = "contiguous" if before else case.layout
        places, end = self.process.laid_out({n: arrange(a, layout) for n, a in operands.items()}, start, case.dtype)
        message = {
            "do": do,
            "subject": self.number,
            "about": self._about,
            "operation": case.operation.name,
            "arguments": dict(case.arguments),
            "dtype": case.dtype,
            "operands": places,
            "held": before.places if before else places,
            "again": before.number if before else None,
            "keep": keep,
            "watch": watch,
        }
        reply = self.process.asked(message, end, _expected(case))
        self.process.calls.append(case)
        checked = itertools.chain(places.items(), before.places.items() if before else ())
        for name, place in checked:
            if not self.process.guarded(place):
                raise Failure(f"wrote outside of operand `{name}`")
        if reply.get("lost"):
            self.process.end()  # the next call begins anew
        return reply, message["held"]

    def _taken(self, reply: dict[str, Any], case: Case) -> dict[str, Array]:
        try:
            said = {name: _Described.of(reply["results"][name]) for name in case.operation.results}
        except (KeyError, TypeError, ValueError, OverflowError):
            self.process.forged()
        return {name: self.process.taken(name, one, case) for name, one in said.items()}

    def _present(self, kept: _Kept, case: Case) -> dict[str, Array]:
        if kept.life != self.process.life:
            raise Declined("the process of the call is gone")
        reply = self.process.asked({"do": "present", "of": kept.number}, 0, _expected(case))
        return self._taken(reply, case)


@dataclass(frozen=True)
class _Described:
    """What the other side says of one result; where it lies, if there was room for it."""

    shape: tuple[int, ...]
    dtype: str
    at: int | None

    @classmethod
    def of(cls, said: Any) -> _Described:
        """Raises KeyError, TypeError or ValueError where that cannot be."""
        shape, at = tuple(map(int, said["shape"])), said["at"]
        if len(shape) > 32 or min((*shape, 0)) < 0 or math.prod(shape) >= 2**48:
            raise ValueError("no array has that shape")
        return cls(shape, short(said["dtype"]), None if at is None else int(at))


def _expected(case: Case) -> int:
    """Bytes that the results must have, each at a multiple of 64."""
    try:
        shapes = case.shapes
    except ValueError:  # an impossible call
        return 0
    width = numpy_dtype(case.dtype).itemsize
    return sum(max(0, math.prod(shape)) * width + 64 for shape in shapes.values())


class _Process:
    """One process after the other; `life` counts them, `turn` the calls."""

    def __init__(self, targets: list[str], limits: Limits, python: Interpreter | None) -> None:
        self.targets, self.limits, self.python = targets, limits, python
        self.life = self.turn = 0
        self.file = _memory()
        self.size = mmap.PAGESIZE
        os.ftruncate(self.file, self.size)
        self.view = mmap.mmap(self.file, self.size)
        self.output = _temporary()
        self.guard = np.frombuffer(secrets.token_bytes(GUARD), np.uint8)
        self.running: subprocess.Popen[bytes] | None = None
        self.calls: deque[Case] = deque(maxlen=REMEMBERED)
        for file in (self.file, self.output):
            weakref.finalize(self, os.close, file)

    # -------------------------------------------------------------------------------------- start and end

    def started(self) -> list[dict[str, Any]]:
        """Starts a process that has loaded the targets; what it says of the subjects in it."""
        self.life += 1
        self.calls.clear()
        into, requests = os.pipe()
        replies, out = os.pipe()
        program, path = (self.python.path, []) if self.python else (sys.executable, sys.path)
        command = [program, str(KEEPER), json.dumps(path), str(into), str(out), str(self.file)]
        self.running = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            pass_fds=(into, out, self.file),
            start_new_session=True,
        )
        os.close(into)
        os.close(out)
        self.requests, self.replies = requests, replies
        self.stop = weakref.finalize(self, _stopped, self.running, requests, replies)
        said, where = f"target {self.targets[0]!r}", f" (said by {self.python.path})" if self.python else ""
        try:
            reply = self._exchanged({"do": "load", "targets": self.targets, "memory": self.limits.memory}, IMPORT_TIME)
        except Failure as failure:
            raise TargetError(f"{said} fails on import: {failure}{where}") from None
        if "error" in reply:
            self.stop()
            raise TargetError(f"{reply['error']}{where}")
        subjects: list[dict[str, Any]] = reply["subjects"]
        return subjects

    def asked(self, message: dict[str, Any], end: int, results: int) -> dict[str, Any]:
        """The reply to one request; results have room from `end` on."""
        if self.running is not None and self.running.poll() is not None:
            self._fail(f"ended its process{self._how()} between two calls")
        if self.running is None:
            self._again()
        self._grow(end + results + ROOM)
        self.turn += 1
        keep = self.turn if message.get("keep") else None
        return self._exchanged({**message, "keep": keep, "at": end, "size": self.size}, self.limits.timeout)

    def _again(self) -> None:
        try:
            self.started()
        except TargetError as error:
            raise Ended(f"cannot be loaded again after its process ended: {error}") from None

    def _exchanged(self, message: dict[str, Any], limit: float) -> dict[str, Any]:
        try:
            send(self.requests, message)
            until = time.monotonic() + limit
            (length,) = LENGTH.unpack(self._read(LENGTH.size, until, limit))
            if length > LONGEST:
                raise ValueError("a reply of that length")
            reply = json.loads(self._read(length, until, limit))
            if not isinstance(reply, dict):
                raise ValueError("a reply of that kind")
        except OSError:
            self._fail("ended its process" + self._how())
        except ValueError:
            self.forged()
        self._trim()
        return reply

    def forged(self) -> NoReturn:
        """Ends a process whose reply is none that `worker` gives."""
        self._fail("wrote into the files of its process that are not its own")

    def _read(self, size: int, until: float, limit: float) -> bytes:
        data, ready = b"", select.poll()
        ready.register(self.replies, select.POLLIN)
        while len(data) < size:
            if ready.poll(min(100.0, max(0.0, 1000 * (until - time.monotonic())))):
                part = os.read(self.replies, size - len(data))
                if not part:
                    raise OSError("closed")
                data += part
            elif self.running is not None and self.running.poll() is not None:
                raise OSError("ended")
            elif time.monotonic() > until:
                self._fail(f"took longer than {limit:g} seconds")
        return data

    def _how(self) -> str:
        """How the process ended, where it has."""
        assert self.running is not None
        try:
            code = self.running.wait(1)
        except subprocess.TimeoutExpired:
            return ": it closed files that are not its own"
        if code >= 0:
            return f" with exit code {code}"
        with contextlib.suppress(ValueError):
            return f" by {signal.Signals(-code).name}"
        return f" by signal {-code}"

    def end(self) -> None:
        """Ends the process; the next request starts another."""
        if self.running is not None:
            self.stop()
        self.running = None
        self.calls.clear()

    def _fail(self, reason: str) -> NoReturn:
        self.end()
        raise Ended(reason)

    # --------------------------------------------------------------------------------------------- memory

    def _grow(self, size: int) -> None:
        if size > self.size:
            self.size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE * 2
            os.ftruncate(self.file, self.size)
            self.view = mmap.mmap(self.file, self.size)

    def laid_out(self, arrays: dict[str, Array], at: int, dtype: str) -> tuple[dict[str, Any], int]:
        """Puts operands, as their memory is arranged, between guards; where they are and where they end."""
        roots = {name: _root(a) for name, a in arrays.items()}
        self._grow(at + sum(root.nbytes + 2 * GUARD + 64 for root in roots.values()))
        places = {}
        for name, array in arrays.items():
            root = roots[name]
            start = -(-(at + GUARD) // 64) * 64
            end = start + root.nbytes
            bytes_ = np.frombuffer(self.view, np.uint8)
            bytes_[start - GUARD : start] = self.guard
            bytes_[end : end + GUARD] = self.guard
            bytes_[start:end] = np.frombuffer(root.tobytes(), np.uint8)
            offset = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
            places[name] = {
                "at": start + offset,
                "shape": list(array.shape),
                "strides": list(array.strides),
                "dtype": dtype,
                "writeable": bool(array.flags.writeable),
                "start": start,
                "stop": end,
                "end": end + GUARD,
            }
            at = end + GUARD
        return places, -(-at // 64) * 64

    def array(self, place: dict[str, Any]) -> Array:
        return np.ndarray(place["shape"], numpy_dtype(place["dtype"]), self.view, place["at"], place["strides"])

    def guarded(self, place: dict[str, Any]) -> bool:
        """Whether the bytes before and behind an operand are what they were."""
        bytes_ = np.frombuffer(self.view, np.uint8)
        before = bytes_[place["start"] - GUARD : place["start"]]
        return np.array_equal(before, self.guard) and np.array_equal(
            bytes_[place["stop"] : place["stop"] + GUARD], self.guard
        )

    def taken(self, name: str, said: _Described, case: Case) -> Array:
        """One result, copied; a dtype that it cannot have is a Failure."""
        try:
            dtype = numpy_dtype(said.dtype)
        except (TypeError, ValueError, KeyError):
            raise Failure(f"`{name}` has dtype {said.dtype}, but must have {case.dtype}") from None
        if said.at is None:
            return np.broadcast_to(np.zeros((), dtype), said.shape)  # too large: its shape says that it is wrong
        try:
            return np.array(np.ndarray(said.shape, dtype, self.view, said.at))
        except (TypeError, ValueError):  # not inside the memory
            self.forged()

    # --------------------------------------------------------------------------------------------- output

    def printed(self) -> str:
        """The end of what was printed."""
        end = os.fstat(self.output).st_size
        text = os.pread(self.output, 2000, max(0, end - 2000)).decode(errors="replace")
        return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)

    def forget(self) -> None:
        """What is printed from now on is all that was."""
        os.ftruncate(self.output, 0)

    def _trim(self) -> None:
        if os.fstat(self.output).st_size > PRINTED:
            self.forget()


def _root(array: Array) -> Array:
    """The array whose memory another one is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _memory() -> int:
    """A file of shared memory without a name, which the other side cannot cut short under our feet."""
    if not hasattr(os, "memfd_create"):
        return _temporary()
    file = os.memfd_create("refconv", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return file


def _temporary() -> int:
    """A file without a name, which goes with its last handle; what is written goes to its end."""
    with tempfile.TemporaryFile() as file:
        number = os.dup(file.fileno())
    fcntl.fcntl(number, fcntl.F_SETFL, fcntl.fcntl(number, fcntl.F_GETFL) | os.O_APPEND)
    return number


def _stopped(process: subprocess.Popen[bytes], *files: int) -> None:
    """Ends a process and all that it started, and waits for them: told to, it waits for the subject's first."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        for _ in range(100):  # until nobody is left that is not waited for by someone else
            os.killpg(process.pid, signal.SIGKILL)
            process.poll()
            time.sleep(0.005)
    process.wait()
    for file in files:
        with contextlib.suppress(OSError):
            os.close(file)
