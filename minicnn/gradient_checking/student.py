"""The grader's end: a student's file in a process of its own, with limits on time and memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

from .student_process import frame, read_frame

SCRIPT = Path(__file__).with_name("student_process.py")


class Ended(BaseException):
    """The student's process cannot go on; the text is a verdict.

    No Exception, since the gradient checker takes those for findings about a function, and goes on calling.
    `refused` is whether the file did what no exercise needs: then nothing in it counts.
    """

    def __init__(self, text: str, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused


class Student:
    """A student's file, running. `ask` sends a request; `close` ends the process and whatever it started.

    `seconds` bounds the time in which the grader waits for it, all requests together. An `exercise` is to be written
    with NumPy alone; anything else may import what it likes.
    """

    __slots__ = ("_late", "_left", "_process", "error", "memory", "names", "seconds", "uses_minicnn")

    def __init__(self, file: Path, seconds: float, memory: int, exercise: bool = True) -> None:
        self.seconds, self.memory, self._left, self._late = seconds, memory, seconds, threading.Event()
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": ""}
        self._process = subprocess.Popen(
            [sys.executable, "-B", str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            root = str(SCRIPT.parents[1])
            start = {"file": str(file.absolute()), "root": root, "memory": memory, "exercise": exercise}
            answer = self.ask(start, "while the file was read")
        except BaseException:
            self.close()
            raise
        self.names = {n for n in answer.get("names", ()) if isinstance(n, str)}
        self.uses_minicnn = bool(answer.get("minicnn"))
        self.error: dict[str, Any] | None = answer.get("error")

    def _stop(self) -> None:
        self._late.set()
        end(self._process)

    def ask(self, request: dict[str, Any], doing: str) -> dict[str, Any]:
        """Return the answer to a request. Raises Ended if there is none."""
        requests, answers = cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)
        watch, start = threading.Timer(self._left, self._stop), time.monotonic()
        watch.daemon = True
        watch.start()
        try:
            requests.write(frame(request))
            requests.flush()
            answer = read_frame(answers)
        except (EOFError, OSError):
            raise Ended(self._how_it_ended(doing)) from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError):
            raise Ended("writes into the grader's own channel, instead of returning results", True) from None
        finally:
            watch.cancel()
            self._left = max(0.0, self._left - (time.monotonic() - start))
        if "refused" in answer:
            raise Ended(clean(answer["refused"]), True)
        error = answer.get("error")
        if error is not None and not (isinstance(error, dict) and {"type", "text"} <= error.keys()):
            raise Ended("writes into the grader's own channel, instead of returning results", True)
        if error and error.get("memory"):
            raise Ended(f"out of memory: more than {self.memory} MiB {doing}")
        return answer

    def _how_it_ended(self, doing: str) -> str:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return f"closed the grader's channel {doing}"
        if self._late.is_set():
            return f"out of time: not done after {self.seconds:g} s; stopped {doing}"
        return f"crashed: {ending(code)}, {doing}"

    def close(self) -> None:
        """End the process."""
        end(self._process)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):  # what was still to be sent has no reader any more
                    stream.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and whatever it has started."""
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def ending(code: int) -> str:
    """Return in words how a process ended."""
    if code < 0:
        return f"ended by signal {signal.Signals(-code).name}"
    return f"the process ended with code {code} without a result"


def clean(text: Any) -> str:
    """Return a text from the student's process on one line, without characters that would steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:500]).strip()


def described(error: dict[str, Any]) -> str:
    """Return an error in the student's process in words: its kind, text and place."""
    text = clean(error["text"])
    place = f" ({clean(error['place'])})" if error.get("place") else ""
    return f"{clean(error['type'])}{': ' if text else ''}{text}{place}"
