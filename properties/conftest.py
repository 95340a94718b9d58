"""Options, subjects and reporting of the property suite; both `refconv check` and `pytest properties/` come here."""

import contextlib
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from refconv import options, reproduce, verdict
from refconv.adapters import ADAPTERS
from refconv.isolation import Ended
from refconv.law import Judged
from refconv.report import terminal
from refconv.spec import KIND_GROUPS
from refconv.subject import TargetError

SUBJECTS = pytest.StashKey[list]()
EFFORT = pytest.StashKey[object]()
JUDGED = pytest.StashKey[list]()
JSON = pytest.StashKey[object]()
BROKEN = pytest.StashKey[list]()
ENDED = pytest.StashKey[object]()  # how many laws an operation broke by ending its process
ENOUGH = 2  # such laws until an operation is not called again
RECORD = pytest.StashKey[object]()
FAULT = "this is a fault of refconv, not of the subject"


def pytest_addoption(parser):
    group = parser.getgroup("refconv", "the implementation under judgement")
    group.addoption("--impl", action="append", default=[], metavar="TARGET", help="pkg.mod:function, file.py or a name")
    group.addoption("--check", action="store_true", help="print progress and verdict only")
    for flags, keywords in options.OPTIONS:
        group.addoption(*flags, **keywords)


def pytest_configure(config):
    if config.getoption("numprocesses", None):
        raise pytest.UsageError("-n is given, but a verdict needs every law in one process")
    targets = config.getoption("impl") or [name for name, adapter in ADAPTERS.items() if adapter.installed]
    try:
        config.stash[JSON] = options.file(config.getoption, "json")
        config.stash[EFFORT] = options.effort(config.getoption)
        with _unheard(config):
            config.stash[SUBJECTS] = options.subjects(targets, config.getoption)
        config.stash[JUDGED], config.stash[BROKEN], config.stash[ENDED] = _judged(config), [], Counter()
    except TargetError as error:
        raise pytest.UsageError(str(error)) from None
    if config.getoption("check"):
        config.option.tbstyle = "native"  # nobody reads pytest's own; it would parse sources even while interrupted
    config.pluginmanager.register(_Session(config), "refconv-session")


@contextlib.contextmanager
def _unheard(config):
    """What a subject prints when it is imported goes to standard error: standard output is the verdict's."""
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.resume_global_capture()
    try:
        yield
    finally:
        capture.suspend_global_capture()
        for text in capture.read_global_capture():
            sys.stderr.write(text)


def pytest_generate_tests(metafunc):
    """A law's parameter names the kind of operation it judges, or a group of kinds."""
    law = getattr(metafunc.function, "kind", None)
    if law is None:
        return
    kinds = KIND_GROUPS.get(law, {law})
    judged = [j for j in metafunc.config.stash[JUDGED] if j.operation.kind in kinds]
    metafunc.parametrize(law, judged, ids=[f"{j.subject.name}-{j.operation.name}" for j in judged])


def _judged(config):
    """One object for each operation of each subject: what one law learns of its precision, the next goes on from."""
    effort = config.stash[EFFORT]
    return [
        Judged(subject, op, effort)
        for subject, operations in config.stash[SUBJECTS]
        for op in operations
        if op.rank == 0 or any(not dtype.startswith("complex") for dtype in subject.scope.dtypes)
    ]


def pytest_collection_modifyitems(items):
    """The comparison with exact values comes first: it convicts most, and its case is the one to bring down to size."""
    items.sort(key=lambda item: item.path.name != "test_oracle.py")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a law; its record stays with the item. One small case an operation is enough: the first is shrunk."""
    law = pyfuncitem.obj
    if not hasattr(law, "run"):
        return None
    judged, broken = pyfuncitem.funcargs[law.kind], pyfuncitem.config.stash[BROKEN]
    if judged in broken:
        judged = replace(judged, effort=replace(judged.effort, shrinks=False))
    ended = pyfuncitem.config.stash[ENDED]
    if ended[judged.subject.name, judged.operation.name] >= ENOUGH:
        record = law.skipped(judged, "the operation ended its process before, and is not called again")
    else:
        record = law.run(judged)
    if record.status == "violated":
        broken.append(pyfuncitem.funcargs[law.kind])
        record.violation.printed = judged.subject.printed
        ended[judged.subject.name, judged.operation.name] += isinstance(record.violation.__cause__, Ended)
    pyfuncitem.stash[RECORD] = record
    if record.status == "violated":
        raise record.violation.with_traceback(None)
    return True


class _Session:
    """Collects the records of a run, shows progress, and ends in the verdict's exit code."""

    def __init__(self, config):
        self.config, self.records, self.started = config, [], time.perf_counter()
        self.console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=150)
        self.progress, self.errors, self.interrupted = None, [], False

    @property
    def verdicts(self):
        if not hasattr(self, "_verdicts"):
            about = {
                "seconds": time.perf_counter() - self.started,
                "seed": int(self.config.getoption("seed")),
                "profile": self.config.getoption("profile"),
                "complete": not (self.interrupted or self.errors),
            }
            subjects = [subject for subject, _ in self.config.stash[SUBJECTS]]
            self._verdicts = verdict.judge(subjects, self.records, **about)
        return self._verdicts

    def pytest_collection_finish(self, session):
        if self.config.getoption("check"):
            self.progress = _Progress(sum("[NOTSET]" not in item.name for item in session.items))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = (yield).get_result()
        if report.failed and RECORD not in item.stash:
            self.errors.append(f"{report.longreprtext}\nrefconv: {item.name} broke down: {FAULT}")
        if call.when == "call" and (record := item.stash.get(RECORD, None)) is not None:
            self.records.append(record)
            if self.progress:
                self.progress.step(record)

    def pytest_collectreport(self, report):
        if report.failed:
            self.errors.append(f"{report.longreprtext}\nrefconv: {report.nodeid} cannot be read: {FAULT}")

    def pytest_keyboard_interrupt(self):
        self.interrupted = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session, exitstatus):
        if self.progress:
            self.progress.close()
        failed = exitstatus in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR)
        if failed or self.config.getoption("collectonly"):
            return
        found = {v.status for v in self.verdicts}
        worst = next(status for status in ("wrong", "not verified", "correct") if status in found)
        if self.errors:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        elif not self.interrupted:
            session.exitstatus = verdict.EXIT_CODES[worst]
        self.keep(session)
        if self.config.getoption("check"):
            self.show()
        if path := self.config.stash[JSON]:
            try:
                _write(path, json.dumps(verdict.as_json(self.verdicts), indent=1, allow_nan=False))
            except OSError as error:
                print(f"refconv: --json is {str(path)!r}, but cannot be written: {error}", file=sys.stderr)
                session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def keep(self, session):
        """Each violation in a folder of its own, from which it can be replayed."""
        chosen = self.config.getoption("failures") or ("refconv-failures" if self.config.getoption("check") else "none")
        if chosen == "none":
            return
        for one in self.verdicts:
            for record in one.violations:
                if record.violation.case is not None:
                    try:
                        record.folder = str(reproduce.write(record, one.subject, Path(chosen)))
                    except OSError as error:
                        print(f"refconv: --failures is {chosen!r}, but cannot be written: {error}", file=sys.stderr)
                        session.exitstatus = pytest.ExitCode.USAGE_ERROR
                        return

    def pytest_terminal_summary(self):
        if not (self.config.getoption("check") or self.config.getoption("collectonly")):
            self.console.print()
            self.show()

    def show(self):
        for number, one in enumerate(self.verdicts):
            if number:
                self.console.print()
            terminal.show(one, self.console)
        of = f" of {self.progress.total}" if self.interrupted and self.progress else ""
        self.console.print(f"\n{len(self.records)}{of} laws judged in {time.perf_counter() - self.started:.1f} s")
        for error in self.errors if self.config.getoption("check") else ():
            print(f"\n{error}", file=sys.stderr)


class _Progress:
    """On standard error: a bar on a terminal; elsewhere a line every few seconds."""

    def __init__(self, total):
        self.total, self.done, self.wrong, self.last = total, 0, 0, time.perf_counter()
        # a stream of its own: while a law runs, what others write to standard error is captured
        self.file = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
        console, self.bar = Console(file=self.file), None
        if console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (MofNCompleteColumn(), BarColumn(20), TimeElapsedColumn(), TextColumn("{task.description}"))
            self.bar = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
            self.task = self.bar.add_task("judging", total=total)
            self.bar.start()

    def step(self, record):
        self.done += 1
        self.wrong += record.status == "violated"
        said = f"{record.operation}: {record.law.replace('_', ' ')}"[:60]
        if self.bar:
            self.bar.update(self.task, advance=1, description=f"{said}{f', {self.wrong} broken' * bool(self.wrong)}")
        elif time.perf_counter() - self.last > 2:
            self.last = time.perf_counter()
            print(f"{self.done}/{self.total} laws judged, {self.wrong} broken; {said}", file=self.file, flush=True)

    def close(self):
        if self.bar:
            self.bar.stop()
        self.file.close()


def _write(path, text):
    """To a temporary file beside it, then renamed: nothing half-written is left."""
    path = path.resolve()
    if path.exists() and not path.is_file():  # a pipe or a device cannot be renamed to
        path.write_text(text + "\n", encoding="utf-8")
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.umask(mask := os.umask(0))
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink()
        raise
