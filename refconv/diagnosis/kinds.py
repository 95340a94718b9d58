"""What can be named, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KINDS", "Diagnosis"]

# What can be named, in the order of preference where two explain the same.
KINDS: dict[str, str] = {
    "crash": "the call ends the process",
    "hang": "the call does not return in time",
    "writes outside": "memory beside an operand is written",
    "mutated operand": "the call changes an operand of its caller",
    "shared memory": "a result lies in memory that belongs to an operand or to an earlier result",
    "stale result": "the result depends on earlier calls",
    "global state": "the call changes state of the process",
    "wrong dtype or type": "the result is of another dtype or no array",
    "raises": "the call raises where it must give a result",
    "accepts an impossible call": "operands or arguments that do not fit give a result",
    "memory layout ignored": "an operand's memory is taken for C order",
    "reads outside": "memory beside an operand is read",
    "NaN handling": "a NaN is lost, or made where none belongs",
    "constant result": "the result does not depend on the operands",
    "sign": "negative results are cut off or lose their sign",
    "ignored argument": "an argument, or part of it, has no effect",
    "wrong axis": "an argument or a size is taken from another axis",
    "flipped kernel": "the kernel is read backwards",
    "transposed kernel": "two axes of the kernel are exchanged",
    "conjugation": "the complex conjugate is left out or taken where it must not be",
    "dropped tap": "a product, tap, row or column of the kernel is left out",
    "doubled tap": "a product or tap counts twice",
    "swapped taps": "two taps are exchanged",
    "group mix-up": "a group reads, or writes to, the channels of another",
    "channel mix-up": "channels are lost, exchanged or repeated",
    "batch mix-up": "images are lost, exchanged or mixed",
    "bias": "the bias is missing, counted more than once, or added in the wrong place",
    "pooling rule": "padding value, starting value, counts, or what a tie or ceil mode means",
    "gradient scale or routing": "a gradient is scaled, exchanged or sent to the wrong element",
    "overwrites": "what overlaps is written over instead of added",
    "border or halo": "at the border something else than zero is read, or not everything is",
    "shifted": "everything is read or written some places beside",
    "output size rule": "the result has another size than the rule gives",
    "flush to zero": "small numbers are taken for zero",
    "unwritten part": "part of the result is left at zero",
    "low-precision inputs": "operands are rounded to a narrower format",
    "low-precision output": "the result is rounded to a narrower format",
    "low-precision accumulator": "sums are carried in a narrower format",
    "overflow": "large results become infinite",
    "transform": "the result has the rounding errors of a transform algorithm that is not claimed",
    "unknown": "no hypothesis explains every wrong result",
}


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong: one of KINDS, in words, and what it rests on."""

    kind: str
    words: str
    evidence: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.words}" + (f" ({self.evidence})" if self.evidence else "")
