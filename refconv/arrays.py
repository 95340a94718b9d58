"""The arrays a subject takes: how they are made of NumPy's, read back, given new values and differentiated.

One class for each library, loaded only when its name is used; nothing else knows what a library calls these things.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from refconv.dtypes import Array, numpy_dtype

__all__ = ["ARRAYS", "Arrays"]

Backward = Callable[[Any], Sequence[Any]]


class Arrays:
    """NumPy's own; other libraries change what is different."""

    type = "numpy.ndarray"
    differentiates = False  # whether gradients can be derived from a forward operation
    copies = False  # whether what is handed over lies in other memory than what it was made of
    device = "cpu"  # where its arrays are unless said otherwise

    def is_array(self, value: Any) -> bool:
        return isinstance(value, np.ndarray)

    def there(self, array: Array, device: str) -> Any:
        """An array as the library has it, on a device."""
        return array

    def back(self, value: Any) -> Array:
        """A NumPy array of the same memory, where there is one that both can see."""
        array: Array = value
        return array

    def overwrite(self, given: dict[str, Any], name: str, array: Array, device: str) -> None:
        """New values for one operand, in its memory where arrays can be written to."""
        given[name][...] = array

    def linearized(self, function: Callable[..., Any], operands: Sequence[Any]) -> Backward:
        """The forward call is done; its derivative maps the output's gradient to those of the operands, any number of
        times."""
        raise NotImplementedError(f"{self.type} carries no gradient")

    def zeros(self, size: int, like: Any) -> Any:
        """So many zeros, of the dtype and on the device of another array."""
        return np.zeros(size, like.dtype)


class _Torch(Arrays):
    type = "torch.Tensor"
    differentiates = copies = True

    def is_array(self, value: Any) -> bool:
        import torch

        return isinstance(value, torch.Tensor)

    def there(self, array: Array, device: str) -> Any:
        import torch

        if any(s < 0 for s in array.strides) or not array.flags.writeable:
            array = array.copy()  # PyTorch has neither negative strides nor read-only tensors
        if array.dtype.name == "bfloat16":
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(device)
        return torch.from_numpy(array).to(device)

    def back(self, value: Any) -> Array:
        import torch

        tensor = value.detach().resolve_conj().resolve_neg().cpu()
        if tensor.dtype == torch.bfloat16:
            return np.asarray(tensor.view(torch.int16).numpy().view(numpy_dtype("bfloat16")))
        return np.asarray(tensor.numpy())

    def overwrite(self, given: dict[str, Any], name: str, array: Array, device: str) -> None:
        given[name].copy_(self.there(array, device))

    def linearized(self, function: Callable[..., Any], operands: Sequence[Any]) -> Backward:
        import torch

        leaves = [a.detach().requires_grad_() for a in operands]
        output = function(*leaves)
        return lambda gradient: torch.autograd.grad(output, leaves, gradient.detach(), retain_graph=True)

    def zeros(self, size: int, like: Any) -> Any:
        import torch

        return torch.zeros(size, dtype=like.dtype, device=like.device)


class _Jax(Arrays):
    """Immutable arrays: new values are new arrays, and results are copied. 64-bit numbers are switched on."""

    type = "jax.Array"
    differentiates = copies = True

    def is_array(self, value: Any) -> bool:
        import jax

        return isinstance(value, jax.Array)

    def there(self, array: Array, device: str) -> Any:
        import jax

        jax.config.update("jax_enable_x64", True)
        return jax.device_put(array.copy(order="C"), jax.devices(device)[0])  # which may keep what it is given

    def back(self, value: Any) -> Array:
        return np.array(value)

    def overwrite(self, given: dict[str, Any], name: str, array: Array, device: str) -> None:
        given[name] = self.there(array, device)

    def linearized(self, function: Callable[..., Any], operands: Sequence[Any]) -> Backward:
        import jax

        _, backward = jax.vjp(function, *operands)
        derivative: Backward = backward
        return derivative

    def zeros(self, size: int, like: Any) -> Any:
        import jax.numpy

        return jax.numpy.zeros(size, like.dtype, device=like.device)


class _CuPy(Arrays):
    """On a GPU only, without gradients."""

    type = "cupy.ndarray"
    copies = True
    device = "cuda"

    def is_array(self, value: Any) -> bool:
        import cupy

        return isinstance(value, cupy.ndarray)

    def there(self, array: Array, device: str) -> Any:
        import cupy

        with cupy.cuda.Device(int(device.partition(":")[2] or 0)):
            return cupy.array(array)

    def back(self, value: Any) -> Array:
        import cupy

        return np.asarray(cupy.asnumpy(value))

    def overwrite(self, given: dict[str, Any], name: str, array: Array, device: str) -> None:
        given[name].set(np.ascontiguousarray(array))


ARRAYS: Mapping[str, Arrays] = {"numpy": Arrays(), "torch": _Torch(), "jax": _Jax(), "cupy": _CuPy()}
