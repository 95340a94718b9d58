"""The implementation under judgement: found by its target, called with a case, its results taken back as arrays."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import random
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from refconv import families, layered
from refconv.arrays import ARRAYS, Arrays
from refconv.claims import Claims
from refconv.dtypes import Array
from refconv.features import Scope
from refconv.interpreter import Interpreter
from refconv.spec import OPERATIONS, Case, Operation

__all__ = ["Call", "Declined", "Failure", "Subject", "TargetError", "load"]

ATTRIBUTE = "refconv"  # functions may carry their claims in a dict of this name
_FILE = "refconv_subject_"  # what the name of a module begins with that is loaded from a file


class TargetError(ValueError):
    """A target, operation or option that names nothing."""


class Declined(Exception):
    """The subject refuses this kind of call; the law says nothing about it."""


class Failure(Exception):
    """The subject gave no result where it had to."""


class Lost(Failure):
    """A call after which the device cannot be used any more in its process, whatever is called."""


@dataclass(frozen=True)
class Call:
    """What one call gave: results by name, and the operands as they are afterwards."""

    results: dict[str, Array]
    handed: dict[str, Array]
    given: dict[str, Any]  # the operands as the subject got them, to be overwritten by another call
    present: Callable[[], dict[str, Array]]  # what the results' memory holds now
    shared: tuple[tuple[str, str], ...] = ()  # (result, operand) that lie in the same memory
    disturbed: tuple[str, ...] = ()  # global random generators that the call moved or seeded, if it was watched


@dataclass(frozen=True)
class Subject:
    """Functions by operation, with what they say of themselves."""

    name: str
    functions: Mapping[str, Callable[..., Any]]
    claims: Claims = field(default_factory=Claims)
    scope: Scope = field(default_factory=Scope)
    array: str = "numpy"
    device: str = "cpu"
    layout: str = "NCHW"
    claim_for: Callable[[Case], str] | None = None  # the error class of one call, where it depends on the call
    held: Mapping[str, Any] = field(default_factory=dict)  # arguments that a layer with weights has by itself
    interpreter: Interpreter | None = None  # that runs it, where that is another than the judge's

    @property
    def printed(self) -> str:
        """What the subject printed since `listen`, where that is not printed here anyway."""
        return ""

    def listen(self) -> None:
        """Forget what was printed so far."""

    @property
    def history(self) -> Sequence[Case]:
        """The calls made last, where it can be called without them having been made: see `renewed`."""
        return ()

    def renewed(self) -> bool:
        """Make it a subject that was never called; False where that cannot be done."""
        return False

    @property
    def library(self) -> Arrays:
        """That of its arrays."""
        return ARRAYS[self.array]

    @property
    def operations(self) -> list[Operation]:
        """The operations it has, gradients derived by automatic differentiation included."""
        derived = {f"{name}_backward" for name in self.functions} if self.library.differentiates else set()
        return [op for name, op in OPERATIONS.items() if name in self.functions or name in derived]

    def claims_for(self, case: Case) -> Claims:
        if self.claim_for is None:
            return self.claims
        return replace(self.claims, algorithm=self.claim_for(case))

    def call(self, case: Case, memory: Call | None = None, keep: bool = False, watch: bool = False) -> Call:
        """One call. Raises Declined where the subject refuses such calls whatever the data, Failure where it fails.

        With the call of another case of the same shapes, the new values are put in the memory of its operands.
        `keep` it if its results are looked at after later calls, or its operands overwritten; `watch` the global
        random generators.
        """
        given, handed = self._given(case, memory)
        returned, disturbed = self.answer(case, given, watch)
        results = {name: np.array(a) for name, a in returned.items()}
        if self.library.copies:  # what the library may have copied to is not what was handed over
            handed = {name: self.seen(a) for name, a in given.items()}
        handed = {name: self.axes_in(a) for name, a in handed.items()}
        return Call(results, handed, given, lambda: returned, shared(returned, handed), disturbed)

    def answer(
        self, case: Case, given: dict[str, Any], watch: bool = False
    ) -> tuple[dict[str, Array], tuple[str, ...]]:
        """What the subject returns, as views of its memory, and which random generators it disturbed."""
        if watch:  # away from where an earlier call may have set them
            random.random(), np.random.random()  # noqa: NPY002 (it is what is watched)
        before = _random_states() if watch else {}
        try:
            returned = self.run(case, given)
        except (Declined, Failure, KeyboardInterrupt):
            raise
        except NotImplementedError as error:
            raise Declined(short(error) or "NotImplementedError") from None
        except (ValueError, RuntimeError, TypeError) as error:
            if self.device != "cpu" and self._lost():  # as after an access to memory that is not there
                raise Lost(f"raised {type(error).__name__}, and lost the device: {short(error)}") from error
            if isinstance(error, RecursionError) or not self._declines(case):
                raise Failure(f"raised {type(error).__name__}: {short(error)}") from error
            raise Declined(short(error) or type(error).__name__) from None
        except BaseException as error:  # `sys.exit` and a test framework's "skip" are no way out of a law
            raise Failure(f"raised {type(error).__name__}: {short(error)}") from error
        after = _random_states() if watch else {}
        return returned, tuple(name for name in before if before[name] != after[name])

    def _declines(self, case: Case) -> bool:
        """Whether the same arguments are refused on plain data too: then it is the kind of call that is refused."""
        shapes = {name: a.shape for name, a in case.operands.items()}
        plain = [families.fill(f, shapes, families.Room(case.dtype, 1), seed=0) for f in ("normal", "positive")]
        return all(self._refuses(replace(case, operands=data)) for data in plain)

    def _lost(self) -> bool:
        """Whether not even an array can be put on the device: then a call that is refused says nothing of the call."""
        try:
            self.seen(self.hand_over(np.zeros(1, np.float32)))
        except Exception:
            return True
        return False

    def _refuses(self, case: Case) -> bool:
        given, _ = self._given(case)
        try:
            self.run(case, given)
        except (NotImplementedError, ValueError, RuntimeError, TypeError):
            return True
        except KeyboardInterrupt:
            raise
        except BaseException:
            return False
        return False

    def attempt(self, case: Case) -> dict[str, Array]:
        """One call that may be impossible: whatever the subject raises goes through."""
        given, _ = self._given(case)
        return {name: np.array(a) for name, a in self.run(case, given).items()}

    def _given(self, case: Case, before: Call | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """The operands as the subject gets them, and the memory they were made of."""
        operands = {name: self.axes_out(a) for name, a in case.operands.items()}
        if before is None:
            handed = {name: arrange(a, case.layout) for name, a in operands.items()}
            return {name: self.hand_over(a) for name, a in handed.items()}, handed
        self.overwrite(before.given, operands)
        return before.given, before.given

    def run(self, case: Case, given: dict[str, Any]) -> dict[str, Array]:
        """The call itself; its results as views of the memory that came back."""
        state = np.geterr()
        with np.errstate(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = self._invoke(case, given)
            if np.geterr() != state:
                raise Failure("changed how NumPy treats floating-point errors (numpy.seterr)")
        return self.returned(case, raw)

    def prepared(self, case: Case, given: dict[str, Any]) -> Callable[[], Any]:
        """What a clock is to be set around: the subject's own function and nothing beside it.

        Of gradients that are derived by automatic differentiation it is the backward pass; the forward pass is done
        here.
        """
        name, arguments = case.operation.name, dict(case.arguments)
        operands = [given[n] for n in case.operation.operands if n in given]
        function = self.functions.get(name)
        if function is None:
            return self.derived(case.operation, operands, arguments)
        own = function
        return lambda: own(*operands, **arguments)

    def _invoke(self, case: Case, given: dict[str, Any]) -> Any:
        name, arguments = case.operation.name, dict(case.arguments)
        operands = [given.get(n) for n in case.operation.operands]
        if operands[-1] is None:
            operands.pop()
        function = self.functions.get(name)
        if function is None:
            return self.derived(case.operation, operands, arguments)()
        try:
            inspect.signature(function).bind(*operands, **arguments)
        except TypeError as error:
            raise Declined(f"does not take the call: {error}") from None
        except ValueError:
            pass  # a function without a signature: it says itself what it refuses
        return function(*operands, **arguments)

    def derived(self, op: Operation, operands: list[Any], arguments: dict[str, Any]) -> Callable[[], Any]:
        """The gradient by the library's automatic differentiation: the forward operation is done, and its derivative
        left to be called, any number of times."""
        grad_output, *leaves = operands
        if op.kind == "conv_backward":
            weight = leaves[1]
            leaves.append(self.library.zeros(weight.shape[0], weight))
        backward = self.library.linearized(partial(self.functions[op.forward], **arguments), leaves)

        def gradients() -> Any:
            found = tuple(backward(grad_output))
            return found if len(op.results) > 1 else found[0]

        return gradients

    def returned(self, case: Case, raw: Any) -> dict[str, Array]:
        """What a function returned, as named views of its memory. Raises Failure where it is something else."""
        names = case.operation.results
        values = (raw,) if len(names) == 1 else raw
        if not isinstance(values, (tuple, list)) or len(values) != len(names):
            got = f"a {type(raw).__name__} of {len(raw)}" if isinstance(raw, (tuple, list)) else type(raw).__name__
            raise Failure(f"returned {got}, but must return {len(names)} arrays: {', '.join(names)}")
        return {n: self.axes_in(self._take_back(n, v)) for n, v in zip(names, values, strict=True)}

    def _take_back(self, name: str, value: Any) -> Array:
        if not self.library.is_array(value):
            got = f"{type(value).__module__}.{type(value).__name__}"
            raise Failure(f"`{name}` is a {got}, but must be a {self.library.type}")
        return self.library.back(value)

    def overwrite(self, given: dict[str, Any], values: Mapping[str, Array]) -> None:
        """Put new values into the memory of operands."""
        for name, a in values.items():
            self.library.overwrite(given, name, a, self.device)

    def seen(self, operand: Any) -> Array:
        """An operand as it was handed over, as an array."""
        return self.library.back(operand)

    def hand_over(self, array: Array) -> Any:
        """An array as the subject takes it."""
        return self.library.there(array, self.device)

    def axes_out(self, array: Array) -> Array:
        """N, C, ... -> N, ..., C for a subject that keeps channels last (weights: O, ..., I)."""
        return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if self._last(array) else array

    def axes_in(self, array: Array) -> Array:
        """Back again."""
        return np.moveaxis(array, -1, 1) if self._last(array) else array

    def _last(self, array: Array) -> bool:
        return self.layout == "NHWC" and array.ndim > 2


def shared(results: Mapping[str, Array], operands: Mapping[str, Array]) -> tuple[tuple[str, str], ...]:
    """Which results lie in the memory of which operands."""
    pairs = [(r, o) for r, a in results.items() for o, b in operands.items() if a.size and np.may_share_memory(a, b)]
    return tuple(pairs)


def _random_states() -> dict[str, Any]:
    state: Any = np.random.get_state()  # noqa: NPY002 (it is what is watched)
    return {"random": random.getstate(), "numpy.random": (state[1].tobytes(), *state[2:])}


def short(error: object) -> str:
    """What an error or a subject says, in one printable line of at most 200 characters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(error)).split())
    return text if len(text) < 200 else text[:200] + " ..."


# ----------------------------------------------------------------------------------------- memory layouts


def arrange(array: Array, layout: str) -> Array:
    """A copy of the array whose memory is arranged as the layout says.

    >>> arrange(np.ones((2, 3)), "transposed").flags.c_contiguous
    False
    """
    return _ARRANGE[layout](array)


def _transposed(a: Array) -> Array:
    return np.array(a.T, order="C").T


def _strided(a: Array) -> Array:
    """Every second element of memory filled with NaN in between."""
    if a.ndim == 0:
        return a.copy()
    wide = _poison((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def _inset(a: Array) -> Array:
    """The middle of a larger array of NaN: reading outside shows."""
    wide = _poison(tuple(n + 2 for n in a.shape), a.dtype)
    middle = tuple(slice(1, n + 1) for n in a.shape)
    wide[middle] = a
    return wide[middle]


def _poison(shape: tuple[int, ...], dtype: Any) -> Array:
    inexact = dtype.kind in "fcV" or dtype.name == "bfloat16"
    return np.full(shape, np.nan if inexact else np.iinfo(dtype).max, dtype=dtype)


def _read_only(a: Array) -> Array:
    out = a.copy()
    out.flags.writeable = False
    return out


def _reversed(a: Array) -> Array:
    """Negative strides on every axis."""
    flip = (slice(None, None, -1),) * a.ndim
    return np.ascontiguousarray(a[flip])[flip] if a.ndim else a.copy()


_ARRANGE: dict[str, Callable[[Array], Array]] = {
    "contiguous": lambda a: a.copy(),
    "transposed": _transposed,
    "strided": _strided,
    "inset": _inset,
    "read-only": _read_only,
    "reversed": _reversed,
}


# ------------------------------------------------------------------------------------------------ targets


def load(target: str, adapters: Mapping[str, Callable[[], Subject]]) -> Subject:
    """The subject of a target: an adapter's name, `pkg.mod`, `file.py`, either with `:function` or `:layer`,
    and `operation=` in front where the function's name is not the operation's.

    >>> sorted(load("refconv:conv2d", {}).functions)
    ['conv2d']
    """
    if target in adapters:
        return adapters[target]()
    operation, _, place = target.rpartition("=")
    if operation and operation not in OPERATIONS:
        raise TargetError(f"operation {operation!r} of target {target!r} is unknown: {_choices(OPERATIONS)}")
    source, _, attribute = place.partition(":")
    module = _module(source, target, adapters)
    if attribute:
        function = _attribute(module, attribute, target)
        if layered.is_layer(function):
            return _layer(target, function, operation)
        name = operation or attribute.rpartition(".")[2]
        if name not in OPERATIONS:
            raise TargetError(
                f"function {name!r} of target {target!r} is not named as an operation: "
                f"write OPERATION={target}; operations are {', '.join(OPERATIONS)}"
            )
        return _subject(target, {name: function})
    if operation:
        raise TargetError(f"target {target!r} names an operation but no function: write {target}:FUNCTION")
    functions = {name: getattr(module, name) for name in OPERATIONS if callable(getattr(module, name, None))}
    if not functions:
        raise TargetError(
            f"target {target!r} has no function named as an operation: "
            f"write OPERATION={target}:FUNCTION; operations are {', '.join(OPERATIONS)}"
        )
    return _subject(target, functions)


def _layer(target: str, layer: Any, operation: str) -> Subject:
    """A layer with weights of its own; its geometry fixes the calls, each call brings its weights."""
    try:
        name, function, held = layered.as_function(layer, operation)
    except (ValueError, TypeError) as error:
        raise TargetError(f"target {target!r}: {error}") from None
    array = "torch" if any(c.__module__.startswith("torch.nn.") for c in type(layer).__mro__) else "numpy"
    setattr(function, ATTRIBUTE, {"array": array, **(getattr(layer, ATTRIBUTE, None) or {})})
    return replace(_subject(target, {name: function}), held=held)


def merge(subjects: Iterable[Subject]) -> list[Subject]:
    """Functions of one module become one subject, so that laws between operations see both."""
    out: dict[str, Subject] = {}
    for subject in subjects:
        source = subject.name.rpartition("=")[2].partition(":")[0]
        if source in out:
            first = out[source]
            if first.functions.keys() & subject.functions.keys():
                out[subject.name] = subject  # two functions for one operation are two subjects
            else:
                out[source] = _joined(source, first, subject)
        else:
            out[source] = subject
    return list(out.values())


def _joined(name: str, first: Subject, second: Subject) -> Subject:
    if first.claim_for or second.claim_for or first.array != second.array or first.held != second.held:
        raise TargetError(f"targets {first.name!r} and {second.name!r} cannot be one subject: check them one at a time")
    said = _agreed(name, [_said(first.claims), _said(second.claims)])
    return replace(first, name=name, functions={**first.functions, **second.functions}, claims=Claims(**said))


def _said(claims: Claims) -> dict[str, Any]:
    """The claims that differ from the default."""
    default = Claims()
    return {n: v for n in Claims.__dataclass_fields__ if (v := getattr(claims, n)) != getattr(default, n)}


def _agreed(target: str, claims: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """All that several functions say; what one says, the others may be silent on, but not deny."""
    out: dict[str, Any] = {}
    for said in claims:
        for name, value in said.items():
            if out.setdefault(name, value) != value:
                raise TargetError(
                    f"target {target!r}: one function claims {name}={out[name]!r}, another {name}={value!r}: "
                    "check them one at a time"
                )
    return out


def _subject(name: str, functions: dict[str, Callable[..., Any]]) -> Subject:
    known = (*Claims.__dataclass_fields__, "array")
    for operation, function in functions.items():
        said = getattr(function, ATTRIBUTE, None)
        if said is not None and not (isinstance(said, dict) and said.keys() <= set(known)):
            raise TargetError(
                f"target {name!r}: the attribute `{ATTRIBUTE}` of {operation} is {said!r}, "
                f"but must be a dict of claims: {_choices(known)}"
            )
    claims = _agreed(name, [getattr(function, ATTRIBUTE, None) or {} for function in functions.values()])
    array = claims.pop("array", _array_of(functions))
    if array not in ARRAYS:
        raise TargetError(f"target {name!r} says that its `array` is {array!r}, but must say one of {_choices(ARRAYS)}")
    try:
        return Subject(name, functions, Claims(**claims), array=array)
    except (ValueError, TypeError, AttributeError) as error:
        raise TargetError(f"target {name!r}: {error}") from None


def _array_of(functions: Mapping[str, Callable[..., Any]]) -> str:
    """The arrays of the library whose functions they are, NumPy's where they are none of a library's."""
    homes = {(getattr(f, "__module__", None) or "").split(".")[0] for f in functions.values()}
    return next((name for name in ARRAYS if name in homes), "numpy")


def _choices(names: Iterable[str]) -> str:
    return "choose from " + ", ".join(sorted(names))


def _module(source: str, target: str, adapters: Mapping[str, Any]) -> ModuleType:
    if source.endswith(".py") or "/" in source:
        return _module_from_file(Path(source), target)
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        with np.errstate():
            return importlib.import_module(source)
    except ModuleNotFoundError as error:
        if error.name and f"{source}.".startswith(f"{error.name}."):
            file = f"; there is a file {source}.py: write {source}.py" if Path(f"{source}.py").is_file() else ""
            raise TargetError(
                f"target {target!r} is neither a module ({short(error)}) nor a short name: {_choices(adapters)}{file}"
            ) from None
        raise TargetError(f"target {target!r} fails on import: {short(error)}") from None
    except (Exception, SystemExit) as error:
        raise TargetError(f"target {target!r} fails on import: {type(error).__name__}: {short(error)}") from error


def _module_from_file(path: Path, target: str) -> ModuleType:
    if not path.is_file():
        raise TargetError(f"target {target!r}: there is no file {str(path)!r}")
    name = f"{_FILE}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"target {target!r}: {str(path)!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if (folder := str(path.parent.resolve())) not in sys.path:
        sys.path.append(folder)  # modules beside the file can be imported, and hide no installed ones
    try:
        with np.errstate():
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise TargetError(f"target {target!r} fails on import: {type(error).__name__}: {short(error)}") from error
    return module


def _shown(module: ModuleType) -> str:
    loaded_by_path = module.__name__.startswith(_FILE)
    return f"file {module.__file__!r}" if loaded_by_path else f"module {module.__name__!r}"


def _attribute(module: ModuleType, attribute: str, target: str) -> Callable[..., Any]:
    try:
        function = pkgutil.resolve_name(f"{module.__name__}:{attribute}")
    except (ImportError, AttributeError, ValueError):
        found = [name for name in OPERATIONS if hasattr(module, name)]
        has = f"; of the operations it has {', '.join(found)}" if found else ""
        raise TargetError(f"target {target!r}: {_shown(module)} has no attribute {attribute!r}{has}") from None
    if not callable(function):
        raise TargetError(f"target {target!r} is of type {type(function).__name__}, but must be a function")
    found_function: Callable[..., Any] = function
    return found_function
