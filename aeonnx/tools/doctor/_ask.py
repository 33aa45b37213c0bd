"""Runs a check in a process of its own: onnxruntime, an EP or a driver may hang or crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from aeonnx._util.subprocesses import run_module
from aeonnx.errors import AeonnxError, SetupError, UsageError
from aeonnx.tools.doctor import _child

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["LIMIT_S", "ask"]

LIMIT_S = 60.0
"""Seconds to wait for an answer: the first start of CUDA on a new GPU takes several."""


def ask(question: str, *arguments: str) -> Any:
    """Run `aeonnx.tools.doctor._child` in a new process; returns its answer.

    Raises:
        SetupError: it failed, crashed or timed out; the message says why.
        UsageError: an argument is not allowed.
    """
    subject = arguments[-1] if arguments else question
    try:
        if getattr(sys, "frozen", False):
            done = _forked(question, *arguments)
        else:
            done = run_module("aeonnx.tools.doctor._child", question, *arguments, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise SetupError(
            f"{subject} did not answer within {LIMIT_S:.0f} s and was stopped"
        ) from None
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise SetupError(f"{subject} crashed the interpreter ({name}){_last_line(done.stderr)}")
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise SetupError(f"{subject} failed{_last_line(done.stderr)}") from None
    if "error" in answer:
        kind: type[AeonnxError] = UsageError if answer["usage"] else SetupError
        raise kind(answer["error"])
    return answer["answer"]


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return f": {lines[-1]}" if lines else ""


def _forked(question: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask by fork, in a frozen program as of PyInstaller, which can start no Python but itself."""
    import multiprocessing  # slow to import

    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, question, *arguments))
    process.start()
    sender.close()
    try:
        if not receiver.poll(LIMIT_S):
            raise subprocess.TimeoutExpired(question, LIMIT_S)
        output, failure = receiver.recv()
        return subprocess.CompletedProcess(question, 0, output, failure)
    except EOFError:  # it ended without an answer
        process.join()
        return subprocess.CompletedProcess(question, process.exitcode or 0, "", "")
    finally:
        process.kill()
        process.join()


def _send(sender: Connection, question: str, *arguments: str) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    try:
        sender.send((_child.answer(question, *arguments), ""))
    except Exception as error:
        sender.send(("", f"{type(error).__name__}: {error}"))
