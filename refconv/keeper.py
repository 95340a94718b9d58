"""Stands between the judge and a subject's process: its parent, which goes when either of them does.

A subject that kills its parent kills this; a judge that is killed leaves no subject behind. It is run as a program and
forks before anything is imported, so that it stays small and the subject's process is as fresh as any.
"""

# ruff: noqa: E402 (the folder of a program is the first place that Python looks in, and here lies another `signal`)
from __future__ import annotations

import sys

sys.path[:] = [place for place in sys.path if place != __file__.rpartition("/")[0]]

import json
import os
import resource
import select
import signal
from importlib.util import module_from_spec, spec_from_file_location
from types import FrameType

__all__: list[str] = []


def _main(path: str, requests: int, replies: int, memory: int) -> None:
    child = os.fork()
    if child:
        os.close(replies)
        os.close(memory)
        _keep(child, requests)
    judges = json.loads(path)  # empty where another Python is to run the subject
    sys.path[:] = judges or sys.path
    _beside()
    if judges:
        import refconv.public  # noqa: F401 (there it can be, and no call of a subject that uses it is to pay for that)
    from refconv.worker import main

    main(requests, replies, memory)


def _beside() -> None:
    """Import the package that this file belongs to, whichever may be installed for this interpreter, or none."""
    folder = __file__.rpartition("/")[0]
    spec = spec_from_file_location("refconv", f"{folder}/__init__.py", submodule_search_locations=[folder])
    assert spec is not None and spec.loader is not None
    package = sys.modules["refconv"] = module_from_spec(spec)
    spec.loader.exec_module(package)


def _keep(child: int, requests: int) -> None:
    """Wait until the child ends, the judge says so (SIGTERM), or the judge's end of the pipe is closed."""

    def ended(number: int = 0, frame: FrameType | None = None) -> None:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            _end_as(status)

    def told(number: int = 0, frame: FrameType | None = None) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # the child's end is waited for here
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.killpg(0, signal.SIGKILL)  # what the child has started, and this process

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGCHLD, ended)
    ended()  # before there was somebody to notice
    closed = select.poll()
    closed.register(requests, 0)
    closed.poll()
    told()


def _end_as(status: int) -> None:
    """In the way that the child did."""
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    _main(sys.argv[1], *map(int, sys.argv[2:]))
