"""The implementation under judgement: how it is found, called and taken at its word."""

import sys
from dataclasses import replace

import numpy as np
import pytest

import refconv
from refconv.claims import Claims
from refconv.dtypes import numpy_dtype
from refconv.judge import Violation, form, within
from refconv.law import Judged
from refconv.spec import OPERATIONS, Case
from refconv.strategies import LAYOUTS
from refconv.subject import Declined, Failure, Lost, Subject, TargetError, arrange, load, merge


def _case(operation="conv2d", dtype="float32", value=None, layout="contiguous", **arguments):
    """A small call; `value` replaces the first element of the first operand."""
    rng = np.random.default_rng(0)
    op = OPERATIONS[operation]
    rank = op.rank
    shapes = {"input": (2, 4, *[7] * rank), "weight": (6, 4, *[3] * rank), "bias": (6,)}
    if op.kind == "conv_backward":
        shapes = {"grad_output": (2, 6, *[5] * rank), "input": shapes["input"], "weight": shapes["weight"]}
    elif "pool" in op.kind:
        shapes = {"input": shapes["input"]}
        arguments = {"kernel_size": 3, "stride": 1, **arguments}
        if op.kind.endswith("backward"):
            shapes = {"grad_output": (2, 4, *[5] * rank), **shapes}
    elif rank == 0:
        shapes = {"in1": (7,), "in2": (3,)}
    operands = {n: rng.integers(-4, 5, s).astype(numpy_dtype(dtype)) for n, s in shapes.items()}
    if value is not None:
        next(iter(operands.values())).flat[0] = value
    return Case(op, operands, arguments, dtype, layout=layout)


def _subject(function, name="conv2d", **keywords):
    return Subject("test", {name: function}, **keywords)


def _right(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return refconv.conv2d(input, weight, bias, stride, padding, dilation, groups)


# ------------------------------------------------------------------------------------- declined or failed


def _raises(error):
    def conv2d(input, weight, bias=None, **arguments):
        raise error

    return conv2d


def _raises_on_some(error):
    def conv2d(input, weight, bias=None, **arguments):
        if input.flat[0] == 99:
            raise error
        return _right(input, weight, bias, **arguments)

    return conv2d


@pytest.mark.parametrize(
    "error", [NotImplementedError("never"), ValueError("never"), RuntimeError("never"), TypeError("never")], ids=repr
)
def test_a_kind_of_call_can_be_declined(error):
    """What is refused whatever the data is not judged."""
    with pytest.raises(Declined, match="never"):
        _subject(_raises(error)).call(_case())


@pytest.mark.parametrize("error", [ValueError("99!"), RuntimeError("99!"), TypeError("99!")], ids=repr)
def test_data_cannot_be_declined(error):
    """What is refused for its data alone is a failure, with the words of the subject."""
    subject = _subject(_raises_on_some(error))
    subject.call(_case())
    with pytest.raises(Failure, match=f"raised {type(error).__name__}: 99!"):
        subject.call(_case(value=99))


def test_negative_data_cannot_be_declined():
    """Plain data of one kind that is refused does not make a kind of call."""

    def conv2d(input, weight, bias=None, **arguments):
        if (input < 0).any():
            raise ValueError("negative")
        return _right(input, weight, bias, **arguments)

    with pytest.raises(Failure, match="negative"):
        _subject(conv2d).call(_case())


@pytest.mark.parametrize("layout", ["transposed", "read-only"])
def test_a_layout_can_be_declined(layout):
    """A compiled kernel raises ValueError for memory that it cannot take: that does not depend on the data."""

    def conv2d(input, weight, bias=None, **arguments):
        if not (input.flags.c_contiguous and input.flags.writeable):
            raise ValueError("buffer is not writeable and C-contiguous")
        return _right(input, weight, bias, **arguments)

    _subject(conv2d).call(_case())
    with pytest.raises(Declined, match="buffer"):
        _subject(conv2d).call(_case(layout=layout))


@pytest.mark.parametrize(
    "error",
    [KeyError("k"), IndexError("i"), ZeroDivisionError("z"), MemoryError(), RecursionError("r"), AssertionError("a"),
     OSError("o"), SystemExit(3), GeneratorExit(), pytest.skip.Exception("s"), pytest.exit.Exception("e")],
    ids=lambda e: type(e).__name__,
)  # fmt: skip
def test_other_errors_are_failures(error):
    """Also those with which a subject could leave the law, or the whole run."""
    with pytest.raises(Failure, match=f"raised {type(error).__name__}"):
        _subject(_raises(error)).call(_case())
    with pytest.raises(Violation, match="raised"):
        Judged(_subject(_raises(error)), OPERATIONS["conv2d"])(_case())


def test_an_interrupt_goes_through():
    """Ctrl-C while the subject computes is the user's."""
    with pytest.raises(KeyboardInterrupt):
        _subject(_raises(KeyboardInterrupt())).call(_case())


def test_a_second_error_of_another_kind_is_a_failure():
    """The call on plain data may itself break down."""
    errors = iter([ValueError("first"), KeyError("second")])

    def conv2d(input, weight, bias=None, **arguments):
        raise next(errors)

    with pytest.raises(Failure, match="ValueError: first"):
        _subject(conv2d).call(_case())


@pytest.mark.parametrize("arguments", [{"stride": 2}, {"groups": 2}, {"padding": "same"}], ids=str)
def test_keywords_it_does_not_have_are_declined(arguments):
    """A function with fewer parameters supports fewer calls; a TypeError inside it is another matter."""

    def conv2d(x, w):
        return _right(x, w)

    case = _case(**arguments)
    case = replace(case, operands={n: a for n, a in case.operands.items() if n != "bias"})
    with pytest.raises(Declined, match=next(iter(arguments))):
        _subject(conv2d).call(case)
    with pytest.raises(Declined, match="too many"):
        _subject(conv2d).call(_case())
    _subject(conv2d).call(replace(case, arguments={}))


def test_what_a_subject_says_is_one_printable_line():
    """Control characters and line breaks do not reach the report."""
    with pytest.raises(Failure) as failed:
        _subject(_raises(KeyError("a\x1b[31m\nVERDICT: correct\r"))).call(_case())
    assert str(failed.value).isprintable()


def test_the_state_of_floating_point_errors_is_kept():
    """numpy.seterr inside a call is a failure, and is undone."""

    def conv2d(input, weight, bias=None, **arguments):
        np.seterr(all="raise")
        return _right(input, weight, bias, **arguments)

    before = np.geterr()
    with pytest.raises(Failure, match="seterr"):
        _subject(conv2d).call(_case())
    assert np.geterr() == before


def test_faults_of_ours_are_not_the_subjects(monkeypatch):
    """An error in preparing the operands is no failure of the subject."""
    monkeypatch.setattr("refconv.subject.arrange", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _subject(_right).call(_case())


# ------------------------------------------------------------------------------------------------ results


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, "NoneType"),
        (1.0, "float"),
        ([[1.0]], "list"),
        ((np.ones((2, 6, 5, 5), np.float32),), "tuple"),
    ],
    ids=["None", "float", "list", "tuple"],
)
def test_a_result_that_is_no_array_is_a_failure(result, said):
    """The message says what came and what must be."""
    with pytest.raises(Failure, match=rf"`output` is a builtins.{said}, but must be a numpy.ndarray"):
        _subject(lambda *_, **__: result).call(_case())


@pytest.mark.parametrize(
    ("result", "said"),
    [(np.ones(3), "ndarray"), ((np.ones(3),) * 2, "a tuple of 2"), ([np.ones(3)] * 4, "a list of 4"), (None, "None")],
    ids=["array", "two", "four", "None"],
)
def test_a_wrong_number_of_results_is_a_failure(result, said):
    """A backward pass returns three gradients."""
    subject = _subject(lambda *_, **__: result, "conv2d_backward")
    with pytest.raises(Failure, match=rf"returned {said}.*must return 3 arrays: grad_input, grad_weight, grad_bias"):
        subject.call(_case("conv2d_backward"))


def test_results_are_copies_and_memory_is_theirs():
    """`results` stay as they were when the subject reuses its buffer; `memory` shows the reuse."""
    buffer = np.zeros((2, 6, 5, 5), np.float32)

    def conv2d(input, weight, bias=None, **arguments):
        buffer[...] = input.sum()
        return buffer

    subject = _subject(conv2d)
    first = subject.call(_case())
    kept = first.results["output"].copy()
    subject.call(_case(value=99))
    assert np.array_equal(first.results["output"], kept)
    assert not np.array_equal(first.present()["output"], kept)


def test_new_values_in_the_same_memory():
    """With the call before, the subject gets the very same arrays, holding the new values."""
    seen = []

    def conv2d(input, weight, bias=None, **arguments):
        seen.append(input)
        return _right(input, weight, bias, **arguments)

    subject, one, two = _subject(conv2d), _case(layout="strided"), _case(value=99, layout="strided")
    first = subject.call(one)
    second = subject.call(two, first)
    assert seen[0] is seen[1] and second.given["input"] is first.given["input"]
    assert np.array_equal(second.handed["input"], two.operands["input"])
    assert within(second.results, two, Claims()) <= 1
    with pytest.raises(Violation):
        within(first.results, two, Claims())


def test_a_changed_operand_is_seen():
    """What was handed over is compared as it is afterwards."""

    def conv2d(input, weight, bias=None, **arguments):
        result = _right(input, weight, bias, **arguments)
        input[0, 0, 0, 0] += 1
        return result

    with pytest.raises(Violation, match="operand `input` was changed"):
        Judged(_subject(conv2d), OPERATIONS["conv2d"])(_case())


# --------------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex128", "int8"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_what_it_says(layout, dtype):
    """The same values; flags and strides of the name; NaN around and between; memory of its own."""
    a = np.arange(1, 61).reshape(3, 4, 5).astype(numpy_dtype(dtype))
    before, out = a.copy(), arrange(a, layout)
    assert np.array_equal(out, a) and out.dtype == a.dtype and not np.shares_memory(out, a)
    size = a.itemsize
    strides = {
        "contiguous": (20 * size, 5 * size, size),
        "transposed": (size, 3 * size, 12 * size),
        "strided": (40 * size, 10 * size, 2 * size),
        "inset": (42 * size, 7 * size, size),
        "read-only": (20 * size, 5 * size, size),
        "reversed": (-20 * size, -5 * size, -size),
    }
    assert out.strides == strides[layout]
    assert out.flags.writeable == (layout != "read-only")
    assert out.flags.c_contiguous == (layout in ("contiguous", "read-only"))
    if layout in ("strided", "inset"):
        whole = out.base
        assert whole is not None
        outside = np.ones(whole.shape, bool)
        outside[(Ellipsis, slice(None, None, 2)) if layout == "strided" else (slice(1, -1),) * 3] = False
        assert outside.sum() == whole.size - a.size
        poison = whole[outside]
        assert (poison != poison).all() if dtype != "int8" else (poison == 127).all()
    assert np.array_equal(a, before)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (2, 0)], ids=str)
def test_a_layout_of_little(layout, shape):
    """Arrays without axes or elements can be arranged too."""
    a = np.ones(shape, np.float32)
    assert np.array_equal(arrange(a, layout), a)


# ------------------------------------------------------------------------------------- channels last

OPERATIONS_LAST = ["conv1d", "conv2d", "conv3d", "conv2d_backward", "max_pool2d", "avg_pool3d", "max_pool2d_backward"]


def _last(name, wrong=False):
    """The reference as someone writes it whose arrays have channels last, weights O, ..., I."""

    def function(*operands, **arguments):
        assert all(a.shape[-1] in (4, 6) for a in operands if a.ndim > 2)
        inside = [np.ascontiguousarray(np.moveaxis(a, -1, 1)) if a.ndim > 2 else a for a in operands]
        results = getattr(refconv, name)(*inside, **arguments)
        if wrong:
            return results
        single = not isinstance(results, tuple)
        results = [np.moveaxis(a, 1, -1) if a.ndim > 2 else a for a in ([results] if single else results)]
        return results[0] if single else results

    return function


@pytest.mark.parametrize("layout", ["contiguous", "strided", "reversed"])
@pytest.mark.parametrize("name", OPERATIONS_LAST)
def test_channels_last(name, layout):
    """A subject that keeps channels last is right; the same with channels first is not."""
    case = _case(name, layout=layout)
    right = Judged(_subject(_last(name), name, layout="NHWC"), OPERATIONS[name])
    assert within(right(case), case, Claims()) <= 1
    with pytest.raises(Violation):
        Judged(_subject(_last(name, wrong=True), name, layout="NHWC"), OPERATIONS[name])(case)


def test_channels_last_is_judged_by_its_values():
    """One wrong element is found at its place in N, C, H, W."""

    def conv2d(*operands, **arguments):
        out = np.array(_last("conv2d")(*operands, **arguments))
        out[1, 2, 3, 4] += 1
        return out

    case = _case()
    with pytest.raises(Violation) as found:
        within(_subject(conv2d, layout="NHWC").call(case).results, case, Claims())
    assert found.value.index == (1, 4, 2, 3)


# ------------------------------------------------------------------------------------------- PyTorch

TORCH = """
import torch
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    assert isinstance(input, torch.Tensor)
    return torch.nn.functional.conv2d(input, weight, bias, stride, padding, dilation, groups)
conv2d.refconv = {"array": "torch", "algorithm": "winograd(2,3)"}
"""


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="pip install 'refconv[torch]'")


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_torch_arrays_there_and_back(torch, dtype, layout):
    """Each dtype and layout keeps its bits on the way to PyTorch and back."""
    case, seen = _case(dtype=dtype, value=-0.0, layout=layout), []

    def conv2d(input, weight, bias=None, **arguments):
        seen.append(input)
        return torch.nn.functional.conv2d(input, weight, bias, **arguments)

    call = _subject(conv2d, array="torch").call(case)
    assert str(seen[0].dtype) == f"torch.{dtype}"
    assert call.handed["input"].tobytes() == case.operands["input"].tobytes()
    form(call.results, case)
    assert within(call.results, case, Claims()) <= 1


def test_torch_reuses_memory(torch):
    """New values are put where the tensors lie."""
    seen = []

    def conv2d(input, weight, bias=None, **arguments):
        seen.append(input.data_ptr())
        return torch.nn.functional.conv2d(input, weight, bias, **arguments)

    subject, case = _subject(conv2d, array="torch"), _case(dtype="bfloat16", value=3)
    call = subject.call(case, subject.call(_case(dtype="bfloat16")))
    assert seen[0] == seen[1]
    assert within(call.results, case, Claims()) <= 1


def test_a_torch_subject_returns_tensors(torch):
    """And a NumPy subject arrays."""
    case = _case()
    with pytest.raises(Failure, match=r"numpy.ndarray, but must be a torch.Tensor"):
        _subject(lambda *_, **__: np.ones(3), array="torch").call(case)
    with pytest.raises(Failure, match=r"torch.Tensor, but must be a numpy.ndarray"):
        _subject(lambda *_, **__: torch.ones(3)).call(case)


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv3d", "max_pool2d", "avg_pool2d"])
def test_gradients_by_automatic_differentiation(torch, name):
    """A torch subject without a backward pass has one, judged like a written one."""
    subject = _subject(getattr(torch.nn.functional, name), name, array="torch")
    assert [op.name for op in subject.operations] == [name, f"{name}_backward"]
    case = _case(f"{name}_backward", dtype="float64")
    judged = Judged(subject, OPERATIONS[f"{name}_backward"])
    assert within(judged(case), case, Claims()) <= 1


def test_a_wrong_gradient_by_automatic_differentiation(torch):
    """A forward pass that hides a factor from differentiation is found out."""

    def conv2d(input, weight, bias=None, **arguments):
        out = torch.nn.functional.conv2d(input, weight, bias, **arguments)
        return 2 * out - out.detach()

    subject, case = _subject(conv2d, array="torch"), _case("conv2d_backward")
    assert within(subject.call(_case()).results, _case(), Claims()) <= 1
    with pytest.raises(Violation, match="grad_"):
        within(subject.call(case).results, case, Claims())


def test_a_file_may_say_that_it_takes_tensors(torch, tmp_path):
    """The attribute `refconv` holds claims, and the arrays."""
    (tmp_path / "mine.py").write_text(TORCH)
    subject = load(str(tmp_path / "mine.py"), {})
    assert (subject.array, subject.claims) == ("torch", Claims(algorithm="winograd(2,3)"))
    assert [op.name for op in subject.operations] == ["conv2d", "conv2d_backward"]
    case = _case("conv2d_backward", dtype="float64")
    assert within(subject.call(case).results, case, subject.claims_for(case)) <= 1


def test_functions_of_torch_take_tensors(torch):
    """Without saying so."""
    assert load("torch.nn.functional:conv2d", {}).array == "torch"
    assert load("torch:conv2d", {}).array == "torch"


# ------------------------------------------------------------------------------------------------ JAX

JAX = """
import jax.numpy as jnp
def conv1d(input, weight, bias=None):
    size = input.shape[-1] - weight.shape[-1] + 1
    taps = [jnp.einsum("nci,oc->noi", input[..., t : t + size], weight[..., t]) for t in range(weight.shape[-1])]
    return sum(taps) + (0 if bias is None else bias[:, None])
conv1d.refconv = {"array": "jax"}
"""


def test_a_function_of_jax_and_its_gradient(tmp_path):
    """Arrays of its own, in every dtype and layout; derivatives by vjp, and immutable memory given new values."""
    (tmp_path / "mine.py").write_text(JAX)
    subject = load(str(tmp_path / "mine.py"), {})
    assert [op.name for op in subject.operations] == ["conv1d", "conv1d_backward"]
    for dtype, layout in zip(("float64", "float32", "bfloat16"), ("reversed", "read-only", "strided"), strict=True):
        case = replace(_without_bias(_case("conv1d", dtype)), layout=layout)
        call = subject.call(case)
        assert call.handed["input"].tobytes() == case.operands["input"].tobytes() and call.shared == ()
        again = case.with_operands(input=case.operands["input"] + case.operands["input"].dtype.type(1))
        assert not np.array_equal(subject.call(again, call).results["output"], call.results["output"])
        assert dtype == "bfloat16" or within(call.results, case, Claims()) <= 1
    case = _case("conv1d_backward", "float64")
    assert within(subject.call(case).results, case, Claims()) <= 1


def test_a_wrong_gradient_of_jax_is_found(tmp_path):
    """A factor that only the derivative has."""
    import jax

    (tmp_path / "mine.py").write_text(JAX)
    right = load(str(tmp_path / "mine.py"), {}).functions["conv1d"]

    def conv1d(input, weight, bias=None):
        out = right(input, weight, bias)
        return 2 * out - jax.lax.stop_gradient(out)

    case = _case("conv1d_backward", "float64")
    with pytest.raises(Violation, match="grad_"):
        within(_subject(conv1d, "conv1d", array="jax").call(case).results, case, Claims())


def test_arrays_of_another_library_are_no_result(tmp_path):
    """Nor is an array that no library of ours has asked for."""
    case = _without_bias(_case("conv1d"))
    with pytest.raises(Failure, match=r"numpy.ndarray, but must be a jax.Array"):
        _subject(lambda *_, **__: np.ones(3), "conv1d", array="jax").call(case)
    (tmp_path / "mine.py").write_text(JAX.replace('"jax"}', '"tensors"}'))
    with pytest.raises(TargetError, match=r"`array` is 'tensors'.*jax"):
        load(str(tmp_path / "mine.py"), {})


def _without_bias(case):
    return replace(case, operands={n: a for n, a in case.operands.items() if n != "bias"})


# ------------------------------------------------------------------------------------------- targets

FILE = """
def conv1d(input, weight): return 1
def conv2d(input, weight): return 2
def other(input, weight): return 3
class Kernels:
    @staticmethod
    def conv3d(input, weight): return 4
    def __call__(self, input): return 5
max_pool2d = Kernels()
avg_pool2d = 6
conv1d.refconv = {"epilogue": "separate"}
conv2d.refconv = {"deterministic": True}
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine_subject.py").write_text(FILE)
    yield "mine_subject"
    sys.modules.pop("mine_subject", None)


@pytest.mark.parametrize("end", ["", ".py"])
def test_targets(mine, end):
    """Functions by name, by operation, inside a class; all that a module has."""
    source = mine + end
    assert load(f"{source}:conv2d", {}).functions["conv2d"](0, 0) == 2
    assert load(f"conv2d={source}:other", {}).functions["conv2d"](0, 0) == 3
    assert load(f"{source}:Kernels.conv3d", {}).functions["conv3d"](0, 0) == 4
    assert load(f"conv1d={source}:Kernels.conv3d", {}).functions["conv1d"](0, 0) == 4
    assert sorted(load(source, {}).functions) == ["conv1d", "conv2d", "max_pool2d"]
    with pytest.raises(TargetError, match="must be a function"):
        load(f"{source}:avg_pool2d", {})


def test_short_names_come_first(mine):
    """A short name is taken before a module of the name."""
    adapter = Subject("short", {})
    assert load(mine, {mine: lambda: adapter}) is adapter


def test_a_file_finds_its_neighbours(tmp_path, monkeypatch):
    """Modules beside the file can be imported, and hide no installed one."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "neighbour_of_subject.py").write_text("def f(input, weight): return 7\n")
    (tmp_path / "numpy.py").write_text("raise SystemExit\n")
    (tmp_path / "a.py").write_text("import numpy, neighbour_of_subject\nconv2d = neighbour_of_subject.f\n")
    assert load(str(tmp_path / "a.py"), {}).functions["conv2d"](0, 0) == 7
    sys.modules.pop("neighbour_of_subject")


def test_claims_come_from_the_functions(mine):
    """All that the functions of a module say counts for the module."""
    assert load(mine, {}).claims == Claims(epilogue="separate", deterministic=True)
    assert load(f"{mine}:conv2d", {}).claims == Claims(deterministic=True)


def test_functions_of_one_module_are_one_subject(mine):
    """In any order, with what each claims."""
    for targets in ("conv1d", "conv2d"), ("conv2d", "conv1d"):
        (one,) = merge(load(f"{mine}.py:{name}", {}) for name in targets)
        assert one.name == f"{mine}.py" and sorted(one.functions) == ["conv1d", "conv2d"]
        assert one.claims == Claims(epilogue="separate", deterministic=True)


def test_functions_for_one_operation_are_two_subjects(mine):
    """None is lost."""
    both = merge(load(target, {}) for target in (f"{mine}:conv2d", f"conv2d={mine}:other", f"{mine}:conv1d"))
    assert [sorted(s.functions) for s in both] == [["conv1d", "conv2d"], ["conv2d"]]
    assert len({s.name for s in both}) == 2
    assert [s.functions["conv2d"](0, 0) for s in both] == [2, 3]


def test_functions_that_contradict_each_other_are_not_one_subject(mine, tmp_path):
    """What one claims and another denies is said."""
    text = FILE + "conv2d.refconv = {'epilogue': 'fused', 'array': 'numpy'}\nmax_pool2d.refconv = {'array': 'torch'}"
    (tmp_path / f"{mine}.py").write_text(text)
    with pytest.raises(TargetError, match=r"epilogue='separate'.*epilogue='fused'.*one at a time"):
        load(f"{mine}.py", {})
    with pytest.raises(TargetError, match="cannot be one subject"):
        merge(load(f"{mine}.py:{name}", {}) for name in ("conv2d", "max_pool2d"))


@pytest.mark.parametrize(("device", "kind"), [("meta", Lost), ("cpu:0", Declined)])
def test_a_lost_device_is_no_refusal(torch, device, kind):
    """After it every call raises, on plain data too: that refuses nothing. On `meta`, nothing can be read back."""

    def fails(input, kernel_size, **more):
        raise RuntimeError("an illegal memory access was encountered")

    case = Case(OPERATIONS["max_pool1d"], {"input": np.ones((1, 1, 2), np.float32)}, {"kernel_size": 2}, "float32")
    with pytest.raises(kind, match="illegal memory access"):
        Subject("x", {"max_pool1d": fails}, array="torch", device=device).call(case)
