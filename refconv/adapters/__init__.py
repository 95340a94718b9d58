"""The subjects that have a short name; each is loaded only when named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec

from refconv.subject import Subject, TargetError

__all__ = ["ADAPTERS", "USUAL", "Adapter"]


@dataclass(frozen=True)
class Adapter:
    """A short name: the module and function that build its subject, and the modules of the libraries it needs."""

    name: str
    summary: str
    module: str
    argument: str = ""
    needs: str = ""  # one or several, the library's own first
    extra: str = ""  # of refconv, that installs them: called like the library unless said otherwise

    @property
    def missing(self) -> str:
        """The first module it needs that is not there."""
        return next((name for name in self.needs.split() if find_spec(name) is None), "")

    @property
    def installed(self) -> bool:
        return not self.missing

    @property
    def version(self) -> str:
        """That of the library; refconv's own where it needs none, empty where the library is not installed.

        >>> ADAPTERS["scipy"].version == __import__("scipy").__version__
        True
        """
        library, *_ = self.needs.split() or ["refconv"]
        try:
            return version(library)
        except PackageNotFoundError:  # its package is called otherwise
            return next((version(name) for name in packages_distributions().get(library, ())), "")

    def __call__(self) -> Subject:
        if self.missing:
            extra = self.extra or self.needs.split()[0]
            raise TargetError(f"target {self.name!r} needs {self.missing}: pip install 'refconv[{extra}]'")
        try:
            build: Callable[..., Subject] = import_module(self.module).subject
        except ModuleNotFoundError as error:
            raise TargetError(f"target {self.name!r} needs {error.name}") from None
        return build(self.argument) if self.argument else build()


_OWN = {
    "auto": "every operation by the method that `auto` picks",
    "fastest": "convolution by the method that takes the least time here",
    "direct": "convolution tap by tap, signals by shifted copies",
    "im2col": "one matrix product with the patches",
    "fft": "products of Fourier transforms",
    "winograd": "minimal filtering F(m, r)",
    "toeplitz": "a sparse Toeplitz matrix",
    "overlap_add": "signals by transforms of blocks",
    "separable": "pooling axis by axis",
    "doubling": "maxima of 1, 2, 4 ... cells",
    "windows": "pooling over a view of all windows",
    "sorting": "pooling by sorting each window",
    "convolution": "average pooling as convolution with a constant kernel",
    "argmax": "maximum's gradient through the recorded index",
    "taps": "maximum's gradient tap by tap",
    "spread": "average's gradient in even shares",
}

_TORCH = {
    "channels-last": "PyTorch on operands whose memory has channels last",
    "compile": "PyTorch compiled by its inductor",
    "nomkldnn": "PyTorch without oneDNN",
    "nocudnn": "PyTorch without cuDNN, on a GPU",
    "cudnn-benchmark": "PyTorch, cuDNN's kernels chosen by trial, without TF32",
    "cudnn-deterministic": "PyTorch, cuDNN's deterministic kernels, without TF32",
    "cudnn-tf32": "PyTorch, cuDNN with TF32, which is claimed",
}

_SCIPY = {
    "scipy": "SciPy's signal module, by direct summation",
    "scipy-fft": "SciPy's fftconvolve",
    "scipy-oa": "SciPy's oaconvolve",
    "scipy-ndimage": "SciPy's image filters",
}

# Other people's libraries: (summary, the module that is imported, the extra where it is called otherwise).
_LIBRARIES = {
    "tensorflow": ("tf.nn on the CPU, gradients by its tape", "tensorflow", ""),
    "keras": ("keras.ops on the backend that Keras is set to", "keras", ""),
    "openvino": ("OpenVINO's CPU plugin, a model of one node for each kind of call", "openvino", ""),
    "opencv": ("filter2D, dilate and boxFilter for what they are: one channel, two axes", "cv2", "opencv"),
    "tinygrad": ("tinygrad's Tensor on its CPU device", "tinygrad", ""),
    "mlx": ("MLX on the CPU, gradients by its vjp", "mlx", ""),
    "cupy": ("cupyx.scipy.signal on a GPU", "cupy", ""),
    "cudnn": ("cuDNN's graphs on a GPU, through its Python frontend", "cudnn", ""),
}

_PORTABLE = {
    "numpy": ("NumPy's arrays", "array_api_compat"),
    "torch": ("PyTorch's", "torch"),
    "jax": ("JAX's", "jax"),
    "strict": ("those that have the array-API standard alone", "array_api_strict"),
}

ADAPTERS: Mapping[str, Adapter] = {
    **{
        name: Adapter(name, summary, f"refconv.adapters.{name}", needs=needs, extra=extra)
        for name, (summary, needs, extra) in _LIBRARIES.items()
    },
    "torch": Adapter("torch", "PyTorch's functional operations", "refconv.adapters.torch", needs="torch"),
    **{
        f"torch-{way}": Adapter(f"torch-{way}", summary, "refconv.adapters.torch_variants", way, "torch")
        for way, summary in _TORCH.items()
    },
    "jax": Adapter("jax", "JAX's lax operations, on the CPU", "refconv.adapters.jax", needs="jax"),
    "onnxruntime": Adapter(
        "onnxruntime", "ONNX Runtime on one-node models", "refconv.adapters.onnxruntime", needs="onnxruntime onnx"
    ),
    "onnx": Adapter("onnx", "ONNX's reference evaluator", "refconv.adapters.onnx", needs="onnx"),
    **{name: Adapter(name, summary, "refconv.adapters.scipy", name, "scipy") for name, summary in _SCIPY.items()},
    **{
        ("refconv" if way == "auto" else f"refconv-{way}"): Adapter(
            "refconv" if way == "auto" else f"refconv-{way}", summary, "refconv.adapters.references", way
        )
        for way, summary in _OWN.items()
    },
    **{
        f"portable-{library}": Adapter(
            f"portable-{library}", f"the portable references on {what}", "refconv.adapters.portable", library, needs
        )
        for library, (what, needs) in _PORTABLE.items()
    },
}
# What is judged where nothing is named: our own references, and PyTorch.
USUAL = ("torch", *(name for name, adapter in ADAPTERS.items() if not adapter.needs))
