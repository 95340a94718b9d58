"""The subjects that have a short name; each is loaded only when named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from refconv.subject import Subject, TargetError

__all__ = ["ADAPTERS", "Adapter"]


@dataclass(frozen=True)
class Adapter:
    """A short name: the module and function that build its subject, and the library it needs."""

    name: str
    summary: str
    module: str
    argument: str = ""
    needs: str = ""
    extra: str = ""  # of refconv, that installs them: called like the library unless said otherwise

    @property
    def installed(self) -> bool:
        return not self.needs or find_spec(self.needs) is not None

    def __call__(self) -> Subject:
        if not self.installed:
            extra = self.extra or self.needs
            raise TargetError(f"target {self.name!r} needs {self.needs}: pip install 'refconv[{extra}]'")
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

ADAPTERS: Mapping[str, Adapter] = {
    **{
        name: Adapter(name, summary, f"refconv.adapters.{name}", needs=needs, extra=extra)
        for name, (summary, needs, extra) in _LIBRARIES.items()
    },
    "torch": Adapter("torch", "PyTorch's functional operations", "refconv.adapters.torch", needs="torch"),
    **{
        ("refconv" if way == "auto" else f"refconv-{way}"): Adapter(
            "refconv" if way == "auto" else f"refconv-{way}", summary, "refconv.adapters.references", way
        )
        for way, summary in _OWN.items()
    },
}
