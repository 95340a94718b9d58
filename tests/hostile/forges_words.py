"""Raises with words that would clear a terminal.
Reason: ^raised ZeroDivisionError: .{0,3}2J gone$
Diagnosis: raises.
"""


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    raise ZeroDivisionError("\x1b[2J gone")
