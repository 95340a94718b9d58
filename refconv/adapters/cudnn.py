"""cuDNN's graphs on a GPU, through its Python frontend: a graph of one node for convolution, one for transposed.

Conventions translated. Tensors are N, C, ... with their strides, weights O, I / groups, ...; groups follow from the
channels. A transposed convolution is the node of the input's gradient (dgrad), whose filter is I, O / groups, ... then.
Padding is two lists, before and after; the mode is cross-correlation. One axis is asked for as two, the first of size
one. These nodes have no bias: it is declined, and so is the gradient, a third of which would be PyTorch's.

Operands are PyTorch's tensors: say --device cuda. Claims: sums in float32; add --input-rounding tf32 where tensor cores
take part. It was written from the documentation and has not been run: that takes a GPU.
"""

from __future__ import annotations

from typing import Any

from refconv.adapters import translate
from refconv.features import Scope
from refconv.spec import ConvSpec, Sizes
from refconv.subject import Subject

SCOPE = Scope(dtypes=("float32", "float16", "bfloat16"), pairs=True, bias=False, empty=False)


def subject() -> Subject:
    """Convolutions and transposed ones in one to three dimensions."""
    import cudnn

    kinds: translate.Kinds = {"conv": _conv, "conv_transpose": _conv_transpose}
    return Subject("cudnn", translate.functions(cudnn, kinds), scope=SCOPE, array="torch")


def _conv(cudnn: Any, input: Any, weight: Any, **arguments: Any) -> Any:
    spec = translate.conv(input, weight, **arguments)
    size = (len(input), len(weight), *spec.output_size(tuple(input.shape[2:]), tuple(weight.shape[2:])))
    return _ran(cudnn, "conv_fprop", {"image": input, "weight": weight}, spec, size)


def _conv_transpose(cudnn: Any, input: Any, weight: Any, **arguments: Any) -> Any:
    spec, extra = translate.transposed(input, weight, **arguments)
    size = spec.transposed_output_size(tuple(input.shape[2:]), tuple(weight.shape[2:]), extra)
    whole = (len(input), weight.shape[1] * spec.groups, *size)
    return _ran(cudnn, "conv_dgrad", {"loss": input, "filter": weight}, spec, whole)


def _ran(cudnn: Any, node: str, operands: dict[str, Any], spec: ConvSpec, size: Sizes) -> Any:
    """One node's result of this size."""
    import torch

    operands = {name: a.contiguous() for name, a in operands.items()}
    one = spec.rank == 1
    if one:
        operands = {name: a.unsqueeze(2) for name, a in operands.items()}
        size = (*size[:2], 1, *size[2:])
    like = next(iter(operands.values()))
    kind = {"float16": "HALF", "bfloat16": "BFLOAT16", "float32": "FLOAT", "float64": "DOUBLE"}
    dtype = getattr(cudnn.data_type, kind[str(like.dtype).removeprefix("torch.")])
    sums = cudnn.data_type.DOUBLE if like.dtype == torch.float64 else cudnn.data_type.FLOAT
    graph = cudnn.pygraph(io_data_type=dtype, intermediate_data_type=sums, compute_data_type=sums)
    tensors = {n: graph.tensor(name=n, dim=list(a.shape), stride=list(a.stride())) for n, a in operands.items()}
    out = torch.empty(size, dtype=like.dtype, device=like.device)
    try:
        result = getattr(graph, node)(
            **tensors,
            pre_padding=[0] * one + [a for a, _ in spec.padding],
            post_padding=[0] * one + [b for _, b in spec.padding],
            stride=[1] * one + list(spec.stride),
            dilation=[1] * one + list(spec.dilation),
            convolution_mode=cudnn.convolution_mode.CROSS_CORRELATION,
        )
        result.set_output(True).set_data_type(dtype).set_dim(list(out.shape)).set_stride(list(out.stride()))
        graph.build([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
    except cudnn.cudnnGraphNotSupportedError as error:
        raise NotImplementedError(str(error)) from None
    workspace = torch.empty(graph.get_workspace_size(), dtype=torch.uint8, device=like.device)
    graph.execute({**{tensors[n]: a for n, a in operands.items()}, result: out}, workspace)
    return out.squeeze(2) if one else out
