"""What the judge and the process of a subject say to each other: plain data as JSON, its length in front."""

from __future__ import annotations

import json
import os
import struct
from typing import Any

__all__ = ["LENGTH", "received", "send"]

LENGTH = struct.Struct("<I")  # in front of every message


def send(stream: int, message: dict[str, Any]) -> None:
    """Write a message to a file descriptor, all of it."""
    text = json.dumps(message, default=int).encode()
    data = LENGTH.pack(len(text)) + text
    while data:
        data = data[os.write(stream, data) :]


def received(stream: int) -> dict[str, Any] | None:
    """Wait for a message; None where the other side has closed."""
    head = _read(stream, LENGTH.size)
    body = None if head is None else _read(stream, *LENGTH.unpack(head))
    message: dict[str, Any] | None = None if body is None else json.loads(body)
    return message


def _read(stream: int, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        part = os.read(stream, size - len(data))
        if not part:
            return None
        data += part
    return data
