"""Options, subjects and reporting of the property suite; both `refconv check` and `pytest properties/` come here."""

import contextlib
import importlib
import json
import os
import pickle
import re
import signal
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from refconv import files, options, reproduce, verdict, xfails
from refconv.adapters import ADAPTERS, USUAL
from refconv.isolation import Ended
from refconv.law import Interrupted, Judged
from refconv.report import junit, markdown, terminal
from refconv.spec import KIND_GROUPS
from refconv.subject import TargetError

SUBJECTS = pytest.StashKey[list]()
EFFORT = pytest.StashKey[object]()
JUDGED = pytest.StashKey[list]()
FILES = pytest.StashKey[dict]()
REPORTS = {  # what is written to the file of an option
    "json": lambda verdicts: json.dumps(verdict.as_json(verdicts), indent=1, allow_nan=False),
    "html": lambda verdicts: importlib.import_module("refconv.report.html").page(verdicts),  # only then its templates
    "junit": junit.document,
}
BROKEN = pytest.StashKey[list]()
ENDED = pytest.StashKey[object]()  # how many laws an operation broke by ending its process
ENOUGH = 2  # such laws until an operation is not called again
XFAILS = pytest.StashKey[list]()
RECORD = pytest.StashKey[object]()
LAW = re.compile(r"::test_(\w+)\[(.*)\]$")  # its name, and SUBJECT-OPERATION, which is NOTSET where none has it
FAULT = "this is a fault of refconv, not of the subject"


def pytest_addoption(parser):
    group = parser.getgroup("refconv", "the implementation under judgement")
    group.addoption("--impl", action="append", default=[], metavar="TARGET", help="pkg.mod:function, file.py or a name")
    group.addoption("--check", action="store_true", help="print progress and verdict only")
    for flags, keywords in options.OPTIONS:
        group.addoption(*flags, **keywords)


def pytest_configure(config):
    targets = config.getoption("impl") or [name for name in USUAL if ADAPTERS[name].installed]
    try:
        config.stash[FILES] = {name: options.file(config.getoption, name) for name in REPORTS}
        config.stash[XFAILS] = xfails.read(config.getoption("xfails"))
        config.stash[EFFORT] = options.effort(config.getoption)
        with _unheard(config):
            config.stash[SUBJECTS] = options.subjects(targets, config.getoption)
        config.stash[JUDGED], config.stash[BROKEN], config.stash[ENDED] = _judged(config), [], Counter()
    except TargetError as error:
        raise pytest.UsageError(str(error)) from None
    if config.getoption("check"):
        config.option.tbstyle = "native"  # nobody reads pytest's own; it would parse sources even while interrupted
    if not _one_of_several(config):
        config.pluginmanager.register(_Session(config), "refconv-session")


def _one_of_several(config):
    """Whether this process judges for another one, which collects what is found (`--jobs`, or pytest's -n)."""
    return hasattr(config, "workerinput")


@contextlib.contextmanager
def _unheard(config):
    """What a subject prints when it is imported goes to standard error: standard output is the verdict's."""
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.resume_global_capture()
    try:
        yield
    finally:
        capture.suspend_global_capture()
        said = capture.read_global_capture()
        if not _one_of_several(config):  # which has said it
            sys.stderr.write("".join(said))


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
    """What was broken before comes first, then the comparison with exact values: it convicts most, and its case is the
    one to bring down to size."""

    def known(item):
        judged = item.callspec.params.get(item.obj.kind) if hasattr(item.obj, "run") else None
        return isinstance(judged, Judged) and item.obj.remembered(judged)

    items.sort(key=lambda item: (not known(item), item.path.name != "test_oracle.py"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """The laws of one operation learn from each other: one process judges them all, in their order."""
    from xdist.scheduler import LoadScopeScheduling

    class ByOperation(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            found = LAW.search(nodeid)
            return found[2] if found else nodeid

    return ByOperation(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a law; its record stays with the item. One small case an operation is enough: the first is shrunk."""
    law = pyfuncitem.obj
    if not hasattr(law, "run"):
        return None
    judged, broken = pyfuncitem.funcargs[law.kind], pyfuncitem.config.stash[BROKEN]
    known = xfails.covering(pyfuncitem.config.stash[XFAILS], judged.operation.name, law.__name__.removeprefix("test_"))
    if known or judged in broken:
        judged = replace(judged, effort=replace(judged.effort, shrinks=False))
    ended = pyfuncitem.config.stash[ENDED]
    judged.subject.listen()
    if ended[judged.subject.name, judged.operation.name] >= ENOUGH:
        record = law.skipped(judged, "the operation ended its process before, and is not called again")
    else:
        record = _run(law, judged, pyfuncitem)
    record.expected = known.reason if known else ""
    if record.status == "violated":
        broken += [] if known else [pyfuncitem.funcargs[law.kind]]
        record.violation.printed = judged.subject.printed
        ended[judged.subject.name, judged.operation.name] += isinstance(record.violation.__cause__, Ended)
    pyfuncitem.stash[RECORD] = record
    if record.status == "violated":
        if known:
            pytest.xfail(known.reason)
        raise record.violation.with_traceback(None)
    return True


def _run(law, judged, item):
    """The record; a violation that was found before Ctrl-C counts."""
    try:
        return law.run(judged)
    except Interrupted as stop:
        session = item.config.pluginmanager.get_plugin("refconv-session")
        if session and stop.record.status == "violated":
            session.found[item.nodeid] = stop.record
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A record goes with the report of its law, as bytes where another process waits for it."""
    report = yield
    if call.when == "call" and (record := item.stash.get(RECORD, None)) is not None:
        report.record = pickle.dumps(record) if _one_of_several(item.config) else record
    return report


class _Session:
    """Collects the records of a run, shows progress, and ends in the verdict's exit code."""

    def __init__(self, config):
        self.config, self.ids, self.found, self.judges, self.started = config, [], {}, [], time.perf_counter()
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
                "xfails": self.config.stash[XFAILS],
            }
            subjects = [subject for subject, _ in self.config.stash[SUBJECTS]]
            self._verdicts = verdict.judge(subjects, self.records, **about)
        return self._verdicts

    @property
    def records(self):
        """Those found so far, in the order of the laws, whatever process was first."""
        return [self.found[i] for i in self.ids if i in self.found]

    def pytest_collection_finish(self, session):
        self._begin([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node, ids):
        self._begin(ids)

    def _begin(self, ids):
        self.ids, parts = ids, [found.groups() for name in ids if (found := LAW.search(name))]
        judged = [(where.rpartition("-")[2], law) for law, where in parts if where != "NOTSET"]
        try:
            xfails.check(self.config.stash[XFAILS], judged, [law for law, _ in parts])
        except TargetError as error:
            raise pytest.UsageError(str(error)) from None
        if self.config.getoption("check") and not self.progress:
            self.progress = _Progress(len(judged))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report):
        record = vars(report).pop("record", None)
        if isinstance(record, bytes):  # written by our own process, which no subject has a handle of
            record = pickle.loads(record)
        if record is not None:
            self.found[report.nodeid] = record
            if self.progress:
                self.progress.step(record)
        elif report.failed:
            self.errors.append(f"{report.longreprtext}\nrefconv: {report.nodeid} broke down: {FAULT}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self, node):
        self.judges.append(node.gateway)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node, error):
        if error and not self.interrupted:
            self.errors.append(f"refconv: process {node.gateway.id} of --jobs ended: {error}: {FAULT}")

    def pytest_collectreport(self, report):
        if report.failed:
            self.errors.append(f"{report.longreprtext}\nrefconv: {report.nodeid} cannot be read: {FAULT}")

    def pytest_keyboard_interrupt(self):
        self.interrupted = True
        for judge in self.judges:
            with contextlib.suppress(ProcessLookupError):
                os.kill(judge._rinfo().pid, signal.SIGINT)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session, exitstatus):
        if self.progress:
            self.progress.close()
        failed = exitstatus in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR)
        if failed or self.config.getoption("collectonly"):
            return
        found = {v.status for v in self.verdicts}
        worst = next(status for status in verdict.EXIT_CODES if status in found)
        if self.errors:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        elif not self.interrupted:
            session.exitstatus = verdict.EXIT_CODES[worst]
        self.keep(session)
        for name, path in self.config.stash[FILES].items():
            if path is not None:
                self._report(session, f"--{name}", path, REPORTS[name](self.verdicts), _write)
        if path := os.environ.get("GITHUB_STEP_SUMMARY"):
            self._report(session, "GITHUB_STEP_SUMMARY", Path(path), markdown.summary(self.verdicts), _append)
        if self.config.getoption("check"):
            self.show()

    def _report(self, session, name, path, text, write):
        try:
            write(path, text)
        except OSError as error:
            print(f"refconv: {name} is {str(path)!r}, but cannot be written: {error}", file=sys.stderr)
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def keep(self, session):
        """Each violation in a folder of its own, from which it can be replayed."""
        folder = options.failures(self.config.getoption)
        if folder is None:
            return
        for one in self.verdicts:
            for record in (*one.violations, *one.known):
                if record.violation.case is not None:
                    try:
                        record.folder = str(reproduce.write(record, one.subject, folder))
                    except OSError as error:
                        print(
                            f"refconv: --failures is {str(folder)!r}, but cannot be written: {error}", file=sys.stderr
                        )
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
        seconds, cases = time.perf_counter() - self.started, sum(record.cases for record in self.records)
        rate = f"{cases / seconds:.0f} a second" if cases else "none"
        self.console.print(f"\n{len(self.records)}{of} laws judged in {seconds:.1f} s, on {cases} cases ({rate})")
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
    files.write(path, text + "\n")


def _append(path, text):
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
