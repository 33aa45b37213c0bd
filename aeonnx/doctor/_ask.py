"""Asking a process of its own: onnxruntime, an EP or a driver may hang or crash."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

from aeonnx.children import run_module
from aeonnx.errors import AeonnxError, SetupError, UsageError

__all__ = ["LIMIT_S", "ask"]

LIMIT_S = 60.0
"""Time for one answer: CUDA's first start on a new GPU takes seconds."""


def ask(question: str, *arguments: str) -> Any:
    """What `aeonnx.doctor._child` answers.

    Raises:
        SetupError: there is no answer, and why.
        UsageError: the question is wrong, in its own words.
    """
    subject = arguments[-1] if arguments else question
    try:
        done = run_module("aeonnx.doctor._child", question, *arguments, timeout=LIMIT_S)
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
