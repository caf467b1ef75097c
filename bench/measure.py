"""Measuring: whole processes with their peak memory, and calls inside processes that are already warm."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

WORKER = Path(__file__).parent / "worker.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one contestant in one case: milliseconds, and peak memory in MB where a process was measured.

    *note* says why there is no figure, or what else was seen.
    """

    contestant: str
    times: tuple[float, ...] = ()
    peak_mb: float | None = None
    note: str = ""

    @property
    def median(self) -> float | None:
        """The median of the times."""
        return statistics.median(self.times) if self.times else None

    @property
    def best(self) -> float | None:
        """The fastest, which the noise of a busy machine touches least."""
        return min(self.times) if self.times else None


def processes(
    commands: Mapping[str, Sequence[str]],
    *,
    rounds: int,
    environment: Mapping[str, str] | None = None,
    before: Callable[[str], None] | None = None,
    expected: frozenset[int] = frozenset({0}),
) -> list[Result]:
    """Run each command once a round, in turn, so that what disturbs one disturbs all; *before* is not measured."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    peaks: dict[str, float] = dict.fromkeys(commands, 0.0)
    notes: dict[str, str] = {}
    for number in range(rounds + 1):
        for name, command in commands.items():
            if name in notes:
                continue
            if before is not None:
                before(name)
            took, peak, status, said = _process(command, environment)
            if status not in expected:
                notes[name] = f"exit {status}: {said.strip().splitlines()[-1] if said.strip() else 'nothing said'}"
            elif number:  # the first round fills the caches of the system and of the server
                times[name].append(took)
                peaks[name] = max(peaks[name], peak)
    return [
        Result(contestant=n, times=tuple(times[n]), peak_mb=peaks[n] or None, note=notes.get(n, "")) for n in commands
    ]


def _process(command: Sequence[str], environment: Mapping[str, str] | None) -> tuple[float, float, int, str]:
    """Milliseconds, peak MB, exit code, and what it said."""
    began = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603  # the contestants' own
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})}, text=True
    )
    said = process.stderr.read() if process.stderr is not None else ""
    _, status, usage = os.wait4(process.pid, 0)
    took = (time.perf_counter() - began) * 1000
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.stderr is not None:
        process.stderr.close()
    # A new process starts as a copy of this one: a smaller peak than ours cannot be seen.
    peak = usage.ru_maxrss if usage.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss else 0
    unit = 1024 if sys.platform != "darwin" else 1024 * 1024
    return took, peak / unit, process.returncode, said


def calls(
    contestants: Mapping[str, tuple[str, Sequence[str]]],
    *,
    rounds: int,
    environment: Mapping[str, str] | None = None,
    before: Callable[[str], None] = lambda _: None,
) -> list[Result]:
    """One call a round of each contestant: an interpreter, and what worker.py does with these words.

    Each works in a process of its own that has imported everything and done the call once; *before* is not measured.
    """
    times: dict[str, list[float]] = {}
    notes: dict[str, str] = {}
    with ExitStack() as stack:
        workers: dict[str, subprocess.Popen[str]] = {}
        for name, (python, words) in contestants.items():
            before(name)
            workers[name] = stack.enter_context(_worker([python, str(WORKER), *words], environment))
        for number in range(rounds + 1):
            for name, worker in workers.items():
                if name in notes:
                    continue
                before(name)
                answer = _ask(worker)
                if answer is None:
                    said = worker.stderr.read().strip() if worker.stderr is not None else ""
                    notes[name] = said.splitlines()[-1] if said else "ended without a word"
                elif number:
                    times.setdefault(name, []).append(answer)
        for worker in workers.values():
            if worker.stdin is not None:
                with suppress(BrokenPipeError):  # it has ended by itself, and a note says of what
                    worker.stdin.close()
    return [Result(contestant=n, times=tuple(times.get(n, ())), note=notes.get(n, "")) for n in contestants]


def _worker(command: Sequence[str], environment: Mapping[str, str] | None) -> subprocess.Popen[str]:
    """One that is ready, or that has ended, which _ask will see."""
    worker = subprocess.Popen(  # noqa: S603  # our own worker
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    cast("IO[str]", worker.stdout).readline()
    return worker


def _ask(worker: subprocess.Popen[str]) -> float | None:
    question, answer = cast("IO[str]", worker.stdin), cast("IO[str]", worker.stdout)
    try:
        question.write("go\n")
        question.flush()
    except BrokenPipeError:
        return None
    line = answer.readline()
    return float(line) if line.strip() else None
