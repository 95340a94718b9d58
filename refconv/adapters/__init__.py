"""The subjects that have a short name; each is loaded only when named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from refconv.subject import Subject, TargetError

__all__ = ["ADAPTERS", "USUAL", "Adapter"]


@dataclass(frozen=True)
class Adapter:
    """A short name: the module and function that build its subject, and the library it needs."""

    name: str
    summary: str
    module: str
    argument: str = ""
    needs: str = ""

    @property
    def installed(self) -> bool:
        return not self.needs or find_spec(self.needs) is not None

    def __call__(self) -> Subject:
        if not self.installed:
            raise TargetError(f"target {self.name!r} needs {self.needs}: pip install 'refconv[{self.needs}]'")
        build: Callable[..., Subject] = import_module(self.module).subject
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

_PORTABLE = {
    "numpy": ("NumPy's arrays", "array_api_compat"),
    "torch": ("PyTorch's", "torch"),
    "jax": ("JAX's", "jax"),
    "strict": ("those that have the array-API standard alone", "array_api_strict"),
}

ADAPTERS: Mapping[str, Adapter] = {
    "torch": Adapter("torch", "PyTorch's functional operations", "refconv.adapters.torch", needs="torch"),
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
