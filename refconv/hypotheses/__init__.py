"""What may be wrong with a kernel: faults as rows, one module for each family of them.

Read in this order: `fault` (what a fault is, and when it explains a call), `trials` (the calls that are made), `bend`
(how a call or its result is changed); then the families, in the order they are tried: `geometry`, `operands`,
`borders`, `result`, `pooling`, `observed` (read off the failing calls) and `precision`.
"""
