"""Times of the references: in units of PyTorch's, of the matrix product's, in seconds, and the memory they take."""

import tracemalloc

import numpy as np

from . import layers, timing

FORWARD = [
    "lenet-c3",
    "alexnet-11x11s4",
    "vgg-256@56",
    "resnet-64@56",
    "resnet-3x3s2",
    "resnet50-1x1",
    "mobilenet-512@14",
    "resnext-512@14",
    "deeplab-3x3d2",
    "audio-3",
    "video-r3d",
]
TRANSPOSED = ["dcgan-4x4s2", "unet-2x2s2"]
GRADIENTS = ["alexnet-3x3", "resnet-128@28", "resnet-3x3s2", "mobilenet-512@14"]
POOLING = ["vgg-max-2s2", "resnet-max-3s2", "inception-avg-3", "densenet-avg-2s2"]
PRODUCT = 1024  # rows and columns of the matrix product that is the machine's peak


def _workload(layer, dtype, backward=False):
    workload = next(layers.workloads([layer], (1,), (dtype,)))
    return workload.backward() if backward else workload


def _reference(workload, operands):
    """By the method that takes the least time, in commits that have one of that name for the operation."""
    import refconv

    function = getattr(refconv, workload.operation)
    try:
        function(*operands, **workload.arguments, method="fastest")
    except ValueError:
        return lambda: function(*operands, **workload.arguments)
    return lambda: function(*operands, **workload.arguments, method="fastest")


def _torch(workload, operands, device="cpu"):
    """PyTorch's own call; its gradients are those of its automatic differentiation."""
    import torch

    torch.set_num_threads(1)
    tensors = [torch.from_numpy(a).to(device) for a in operands]
    function = getattr(torch.nn.functional, workload.operation.removesuffix("_backward"))
    if not workload.operation.endswith("_backward"):
        return lambda: function(*tensors, **workload.arguments)
    grad_output, *leaves = tensors
    leaves = [leaf.requires_grad_() for leaf in leaves]
    output = function(*leaves, **workload.arguments)
    return lambda: torch.autograd.grad(output, leaves, grad_output, retain_graph=True)


def _product(dtype):
    a, b = (np.random.default_rng(seed).random((PRODUCT, PRODUCT), dtype) for seed in (0, 1))
    out = np.empty_like(a)
    return lambda: np.matmul(a, b, out=out)


class _Measured:
    """All ratios of a commit are measured once, in one process, and then looked up by the classes below."""

    version = layers.version()
    backward = False
    param_names = ("layer", "dtype")

    def setup_cache(self):
        found = {}
        for dtype in layers.DTYPES:
            product = _product(dtype)
            for suite in (Forward, Transposed, Gradient, Pooling, PoolingGradient):
                for layer in suite.params[0]:
                    found[suite.backward, layer, dtype] = self._ratios(_workload(layer, dtype, suite.backward), product)
        return found

    setup_cache.timeout = 600

    def _ratios(self, workload, product):
        operands = list(workload.operands(0).values())
        calls = {"ours": _reference(workload, operands), "torch": _torch(workload, operands), "product": product}
        times = timing.interleaved(calls)
        out = {"torch": timing.ratio(times["ours"], times["torch"]).median}
        if workload.multiply_adds:
            flops = workload.multiply_adds / PRODUCT**3
            out["blas"] = timing.ratio(times["ours"], times["product"] * flops).median
        return out

    def track_torch(self, found, layer, dtype):
        return found[self.backward, layer, dtype]["torch"]

    track_torch.unit = "x PyTorch's time"


class Forward(_Measured):
    params = (FORWARD, layers.DTYPES)

    def track_blas(self, found, layer, dtype):
        """The reciprocal of the share of the machine's peak."""
        return found[self.backward, layer, dtype]["blas"]

    track_blas.unit = "x BLAS' time for as many flops"


class Transposed(_Measured):
    params = (TRANSPOSED, layers.DTYPES)


class Gradient(_Measured):
    params = (GRADIENTS, layers.DTYPES)
    backward = True


class Pooling(_Measured):
    params = (POOLING, layers.DTYPES)


class PoolingGradient(_Measured):
    params = (POOLING, layers.DTYPES)
    backward = True


class Absolute:
    """Seconds and bytes, as context: they move with the machine."""

    params = ("alexnet-11x11s4", "resnet-64@56", "vgg-256@56", "mobilenet-512@14")
    param_names = ("layer",)
    version = layers.version()

    def setup(self, layer):
        workload = _workload(layer, "float32")
        self.call = _reference(workload, list(workload.operands(0).values()))

    def time_forward(self, layer):
        self.call()

    def peakmem_forward(self, layer):
        self.call()

    def track_extra_memory(self, layer):
        """What NumPy takes at most beyond the operands."""
        self.call()
        tracemalloc.start()
        self.call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak / 2**20

    track_extra_memory.unit = "MiB"


class PyTorch:
    """The other side of the ratios, on each device that is there; what runs on a device is waited for."""

    params = (["resnet-64@56", "vgg-256@56"], ["cpu", "cuda"])
    param_names = ("layer", "device")
    version = layers.version()

    def setup(self, layer, device):
        import torch

        if device == "cuda" and not torch.cuda.is_available():
            raise NotImplementedError("there is no CUDA device")
        workload = _workload(layer, "float32")
        call = _torch(workload, list(workload.operands(0).values()), device)
        wait = torch.cuda.synchronize if device == "cuda" else lambda: None
        self.call = lambda: (call(), wait())
        self.call()

    def time_forward(self, layer, device):
        self.call()


class DeviceTime(PyTorch):
    """The device's own time by CUDA events, without the host's; the second-level cache is flushed before each call."""

    params = (PyTorch.params[0], ["cuda"])
    time_forward = None

    def track_device_time(self, layer, device):
        import torch

        flush = torch.empty(2**28, dtype=torch.int8, device=device)
        times = []
        for _ in range(timing.ROUNDS):
            flush.zero_()
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            self.call()
            end.record()
            torch.cuda.synchronize()
            times.append(start.elapsed_time(end))
        return float(np.median(times))

    track_device_time.unit = "ms"
