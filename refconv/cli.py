"""The command line: `check`, `bench`, `replay`, `init`, `list`, `schema` and `completion`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from refconv import __version__, bench_command, campaign_command, completion, init_command, reproduce
from refconv.adapters import ADAPTERS
from refconv.chapters import properties_folder
from refconv.options import OPTIONS, interpreter
from refconv.spec import OPERATIONS, Operation
from refconv.subject import TargetError
from refconv.verdict import EXIT_CODES

__all__ = ["main"]

INTERRUPTED, USAGE_ERROR = 2, 4
UNREAD = 141  # as shells say of a process that SIGPIPE ends

CHECK = """\
Judge implementations of convolution, pooling and their gradients.

TARGET is pkg.mod:function or path/to/file.py:function, either without
:function for every operation the module has, operation=TARGET where the
function's name is not the operation's, or a short name (`refconv list`).

A function is called as in torch.nn.functional, for example conv2d(input,
weight, bias=None, stride=1, padding=0, dilation=1, groups=1), with numpy
arrays unless --array says otherwise. It may raise NotImplementedError for
what it does not support. Its code is run with your rights.

TARGET may also be a layer with weights of its own, a torch.nn.Module or
another callable object with `weight`, `bias` and `stride`, `padding` ... as
torch.nn.Conv2d has them: its geometry fixes the calls, each call loads the
weights. Write max_pool2d=mine.py:layer for one that only has a window.
"""
START = """\
examples:
  refconv check mine.py:conv2d    is the function conv2d in mine.py right?
  refconv check torch             is PyTorch?
  refconv bench mine.py:conv2d    how fast is it, beside PyTorch?
  refconv campaign mine.py --time 8h  and for a whole night?
  refconv list                    how operations are called, what has a name

`refconv check --help` shows how to say what an implementation claims.
"""
REPLAY = """\
Ask the law again for the very call that broke it. Exit code: 0 it holds now,
1 it is broken again, 4 usage error, 5 the call is declined now.
"""
EXAMPLES = """\
examples:
  refconv check torch                 PyTorch, every operation it has
  refconv check mine.py:conv2d        a function in a file
  refconv check mine.py:layer         a layer with weights, as torch.nn.Conv2d
  refconv check conv2d=pkg.kernels:my_conv --dtype float32 --fix kernel_size=3
  refconv check mine.py --algorithm 'winograd(4,3)' --profile standard

exit code: 0 correct, 1 wrong, 2 interrupted, 3 refconv itself broke down,
4 usage error, 5 too little verified
"""


_JOBS = "judge several operations at a time, in N processes (default: 1)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is the verdict's."""
    parser = _parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:
        return USAGE_ERROR if stop.code else 0
    try:
        code = _run(parser, options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("\nrefconv: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # who reads it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.command == "list":
        return _list()
    if options.command == "check":
        return _check(options)
    if options.command == "schema":
        print(schema_file().read_text(encoding="utf-8"), end="")
        return 0
    if options.command == "bench":
        return bench_command.run(options)
    if options.command == "init":
        return init_command.run(options)
    if options.command == "completion":
        return completion.run(parser, options.shell)
    if options.command == "campaign":
        return campaign_command.run(options)
    if options.command == "replay":
        return _replay(options)
    parser.print_help()
    return 0


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_ERROR, f"{self.prog}: {message} (`{self.prog} --help` shows what there is)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="refconv",
        description="The referee for convolution: is an implementation right, where is it wrong, how precise is it?",
        epilog=START,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"refconv {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="judge an implementation",
        description=CHECK,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("targets", nargs="+", metavar="TARGET", help="what to judge")
    check.add_argument("--jobs", type=_jobs, default=1, metavar="N", help=_JOBS)
    for flags, keywords in OPTIONS:
        check.add_argument(*flags, **keywords)
    again = commands.add_parser("replay", help="judge a violation again that a check has kept", description=REPLAY)
    again.add_argument("folder", metavar="FOLDER", help="one of those that `refconv check` names")
    again.add_argument("--in-process", action="store_true", help="run the subject in this process (for debuggers)")
    again.add_argument("--python", **next(keywords for flags, keywords in OPTIONS if flags == ("--python",)))
    commands.add_parser("list", help="show operations and the short names of targets")
    commands.add_parser("schema", help="print the JSON schema of what `refconv check --json` writes")
    bench_command.add(commands)
    init_command.add(commands)
    completion.add(commands)
    campaign_command.add(commands)
    return parser


def _jobs(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"is {text!r}, but must be an integer of at least 1")
    return number


def _check(options: argparse.Namespace) -> int:
    words = _Words()
    with _alone(), words.listening():
        return int(pytest.main(_pytest_arguments(options), plugins=[words]))


class _Words:
    """What pytest would say in words of its own, and Ctrl-C, which the law it falls into may turn into anything."""

    interrupted = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        ours = threading.current_thread() is threading.main_thread()
        if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield  # someone else's, or ignored
            return
        signal.signal(signal.SIGINT, self._interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _interrupt(self, number: int, frame: Any) -> None:
        self.interrupted = True
        raise KeyboardInterrupt

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> Generator[None, Any, Any]:
        try:
            result = yield
        except BaseException:
            if self.interrupted:
                raise KeyboardInterrupt from None
            raise
        if self.interrupted:
            raise KeyboardInterrupt
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_cmdline_main(self) -> Generator[None, int, int]:
        try:
            return (yield)
        except pytest.UsageError as error:
            print(f"refconv: {error}", file=sys.stderr)
            return USAGE_ERROR

    def pytest_keyboard_interrupt(self) -> None:
        print("\nrefconv: interrupted", file=sys.stderr)

    def pytest_internalerror(self, excrepr: Any) -> bool:
        print(f"{excrepr}\nrefconv: this is a fault of refconv, not of the subject", file=sys.stderr)
        return True


@contextmanager
def _alone() -> Iterator[None]:
    """Options and plugins that are there for other tests take no part in a verdict."""
    with tempfile.TemporaryDirectory() as folder:
        ours = {
            "PYTEST_ADDOPTS": None,
            "PYTEST_PLUGINS": None,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": folder,  # nothing is left in the working directory
        }
        before = {name: os.environ.get(name) for name in ours}
        _set_environment(ours)
        try:
            yield
        finally:
            _set_environment(before)


def _set_environment(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def _pytest_arguments(options: argparse.Namespace) -> list[str]:
    folder = properties_folder()
    out = [
        str(folder),
        f"--rootdir={folder}",
        "-c",
        str(folder / "pytest.ini"),
        "-p",
        "no:terminal",
        "-p",
        "no:tmpdir",
        "--check",
    ]
    out += [f"--impl={target}" for target in options.targets]
    if options.jobs > 1:
        out += ["-p", "xdist.plugin", "-n", str(options.jobs), "--max-worker-restart=0"]
    for (flag, *_), keywords in OPTIONS:
        value = getattr(options, flag[2:].replace("-", "_"))
        if keywords.get("action") == "store_true":
            out += [flag] * bool(value)
        elif isinstance(value, list):
            out += [f"{flag}={item}" for item in value]
        elif value is not None:
            out.append(f"{flag}={value}")
    return out


def schema_file() -> Path:
    """Where the schema is that describes what `--json` writes."""
    return Path(__file__).parent / "report" / "schema.json"


def _replay(options: argparse.Namespace) -> int:
    folder = Path(options.folder)
    try:
        python = interpreter(vars(options).get)
        violation, said = reproduce.replay(folder, properties_folder(), options.in_process, python)
    except (reproduce.FolderError, TargetError) as error:
        print(f"refconv: {error}", file=sys.stderr)
        return USAGE_ERROR
    print(f"the law {said}")
    if violation is None:
        return EXIT_CODES["not verified" if "declined" in said else "correct"]
    print(violation)
    return EXIT_CODES["wrong"]


def _list() -> int:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=150)
    names = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("target", "what it is", "version"):
        names.add_column(column)
    for adapter in ADAPTERS.values():
        names.add_row(adapter.name, adapter.summary, adapter.version if adapter.installed else "not installed")
    console.print(names)
    console.print()
    calls = Table(box=None, pad_edge=False, header_style="bold")
    calls.add_column("operation", no_wrap=True)
    calls.add_column("call")
    for operation in OPERATIONS.values():
        calls.add_row(operation.name, _signature(operation))
    console.print(calls)
    return 0


def _signature(operation: Operation) -> str:
    operands = [f"{n}=None" if n == "bias" else n for n in operation.operands]
    arguments = [n if n == "kernel_size" else f"{n}={v!r}" for n, v in operation.arguments.items()]
    results = "" if len(operation.results) == 1 else f" -> ({', '.join(operation.results)})"
    return f"({', '.join(operands + arguments)}){results}"


if __name__ == "__main__":
    sys.exit(main())
