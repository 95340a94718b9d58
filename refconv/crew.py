"""Hands jobs to those who do them, here, in processes or on a Dask cluster; a job whose worker dies is done again.

Each crew is a function of what is to be done and of the jobs, which it takes one by one when somebody is free, so that
they may end at any moment. It yields every job with its outcome, in the order in which they are done. A TargetError
that a job raises ends them all.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from refconv.subject import TargetError

__all__ = ["Ended", "Fault", "cluster", "here", "processes"]

ATTEMPTS = 3  # how often a job may end its worker

WAITING = 30  # seconds for the first worker of a cluster

Job = Any
Work = Callable[[Job], Any]  # what it returns JSON can say


@dataclass(frozen=True)
class Ended:
    """The outcome of a job that ends its worker, each time that it is tried."""

    how: str


@dataclass(frozen=True)
class Fault:
    """The outcome of a job that raised something."""

    said: str


Outcomes = Generator[tuple[Job, Any], None, None]
Crew = Callable[[Work, Iterator[Job]], Outcomes]


def here(work: Work, jobs: Iterator[Job]) -> Outcomes:
    """Everything in this process.

    >>> list(here(lambda job: 2 * job, iter([1, 2])))
    [(1, 2), (2, 4)]
    """
    return ((job, _outcome(work, job)) for job in jobs)


def _outcome(work: Work, job: Job) -> Any:
    try:
        return work(job)
    except TargetError:
        raise
    except Exception:
        return Fault(traceback.format_exc())


# --------------------------------------------------------------------------------------------- processes


def processes(count: int) -> Crew:
    """So many processes of this machine, each with one thread for arithmetic."""

    def crew(work: Work, jobs: Iterator[Job]) -> Outcomes:
        workers = [_Worker(work) for _ in range(count)]
        again: list[tuple[Job, int]] = []  # jobs to be done again, with how often they were tried
        try:
            while True:
                for worker in workers:
                    if worker.job is None and (taken := _next(again, jobs)) is not None:
                        worker.begin(*taken)
                busy = [worker for worker in workers if worker.job is not None]
                if not busy:
                    return
                ready = wait([source for worker in busy for source in (worker.end, worker.process.sentinel)])
                for worker in busy:
                    if {worker.end, worker.process.sentinel}.isdisjoint(ready):
                        continue
                    job, outcome = worker.job, worker.outcome()
                    if isinstance(outcome, Ended) and worker.attempt < ATTEMPTS:
                        again.append((job, worker.attempt))
                    else:
                        yield job, outcome
        finally:
            for worker in workers:
                worker.stop()

    return crew


def _next(again: list[tuple[Job, int]], jobs: Iterator[Job]) -> tuple[Job, int] | None:
    if again:
        return again.pop()
    job = next(jobs, None)
    return None if job is None else (job, 0)


class _Worker:
    """One process after the other, with the job that it has."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.job: Job | None = None
        self.attempt = 0
        self.process: Any = None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.end, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, self.work), daemon=True)
        with _apart():
            self.process.start()
        other.close()

    def begin(self, job: Job, tried: int) -> None:
        """Hand a job over."""
        self.job, self.attempt = job, tried + 1
        if self.process is None:
            self._start()
        with contextlib.suppress(OSError):  # it is gone: the outcome will say so
            self.end.send(job)

    def outcome(self) -> Any:
        """What came of the job; where that is the worker's end, the next job gets another."""
        self.job = None
        try:
            if self.end.poll():
                kind, said = json.loads(self.end.recv_bytes())
                if kind == "refused":
                    raise TargetError(said)
                return Fault(said) if kind == "fault" else said
        except (EOFError, OSError):
            pass
        how = self.stop()
        return Ended(f"by signal {-how}" if how is not None and how < 0 else f"with exit code {how}")

    def stop(self) -> int | None:
        """It has no more to do, or is not to go on; its exit code."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        process.kill()
        process.join()
        self.end.close()
        code: int | None = process.exitcode
        process.close()
        return code


def _serve(end: Connection, work: Work) -> None:
    """What a worker does, until nobody is there who asks."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            try:
                outcome = _outcome(work, end.recv())
                reply = ["fault", outcome.said] if isinstance(outcome, Fault) else ["done", outcome]
            except TargetError as error:
                reply = ["refused", str(error)]
            end.send_bytes(json.dumps(reply).encode())


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """A process started inside has one thread for arithmetic, and Ctrl-C is none of its business."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    ours = threading.current_thread() is threading.main_thread()
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN) if ours else None
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, handler)
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


# ------------------------------------------------------------------------------------------------- Dask


def cluster(address: str) -> Crew:
    """The workers of a Dask cluster, which does a job again whose worker is lost, as often as it is set up to.

    A job waits here until a worker is free: one that dies takes no other job along. Raises TargetError.
    """
    try:
        import distributed
    except ImportError:
        raise TargetError(f"--dask is {address!r}, which needs Dask: pip install 'refconv[dask]'") from None

    def crew(work: Work, jobs: Iterator[Job]) -> Outcomes:
        with _connected(address) as client:
            running: dict[Any, Job] = {}
            done = distributed.as_completed(loop=client.loop)
            try:
                while True:
                    for _ in range(_workers(client, address) - len(running)):
                        if (job := next(jobs, None)) is None:
                            break
                        future = client.submit(work, job, pure=False)
                        running[future] = job
                        done.add(future)
                    if not running:
                        return
                    future = next(done)
                    yield running.pop(future), _of(future)
            finally:
                client.cancel(list(running))

    @contextlib.contextmanager
    def _connected(address: str) -> Iterator[Any]:
        try:
            client = distributed.Client(address, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise TargetError(f"--dask is {address!r}, but no cluster answers there: {error}") from None
        with client:
            try:
                client.wait_for_workers(1, timeout=WAITING)
            except TimeoutError:
                raise TargetError(f"--dask is {address!r}, where no worker came within {WAITING} seconds") from None
            yield client

    def _of(future: Any) -> Any:
        if future.status == "finished":
            return future.result()
        error = future.exception() if future.status == "error" else None
        if isinstance(error, distributed.KilledWorker):
            return Ended(f"each time, says {str(error).partition('.')[0]}")
        if isinstance(error, TargetError):
            raise error
        return Fault("".join(traceback.format_exception(error)) if error else f"the cluster gave it up: {future}")

    return crew


def _workers(client: Any, address: str) -> int:
    """How many there are, at least one that may come back; each with one thread, because shards share a process."""
    threads = client.nthreads()
    for worker, number in threads.items():
        if number != 1:
            raise TargetError(
                f"--dask is {address!r}, where worker {worker} has {number} threads, but must have 1: "
                "start it with `dask worker --nthreads 1 --nworkers N`"
            )
    return max(1, len(threads))
