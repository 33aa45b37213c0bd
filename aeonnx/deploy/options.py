"""The options of a Triton model repository."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aeonnx.errors import UsageError

__all__ = ["TritonOptions"]

_LONGEST = 86_400.0  # seconds


@dataclass(frozen=True)
class TritonOptions:
    """What to write, and how Triton runs it.

    Args:
        bundle: the bundle's folder.
        output: folder of the repository; models of other names in it are left alone.
        parts: names of parts; empty for all.
        variants: names of variants; empty for all.
        name: what the models' names begin with; None for the name of the bundle's folder.
        gpu: whether the models run on all GPUs, or on the CPU.
        instances: how many of each model run at the same time, on each GPU or on the CPU.
        threads: of one instance on the CPU; None for one per core of the machine.
        max_batch: most rows that run together; None for the most at which all versions of a model
            were compared with torch.
        max_delay: most milliseconds that a request waits for others to run with.
        max_queue: most requests that wait for a model; further ones are refused.
        timeout: seconds after which a request that still waits is refused.
        force: replace models of the same names.

    Raises:
        UsageError: a value is not allowed.
    """

    bundle: Path
    output: Path
    parts: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    name: str | None = None
    gpu: bool = False
    instances: int = 1
    threads: int | None = None
    max_batch: int | None = None
    max_delay: float = 0.5
    max_queue: int = 1024
    timeout: float = 30.0
    force: bool = False

    def __post_init__(self) -> None:
        for name in ("instances", "threads", "max_batch", "max_queue"):
            number = getattr(self, name)
            if number is not None and not 1 <= number < 2**31:
                raise UsageError(f"{_flag(name)}: expected 1 or more, got {number}")
        if not 0 <= self.max_delay <= 1000 * _LONGEST:
            raise UsageError(f"--max-delay: expected 0 ms to a day, got {self.max_delay:g}")
        if not 0 < self.timeout <= _LONGEST:
            raise UsageError(f"--timeout: expected seconds above 0, to a day, got {self.timeout:g}")
        if self.gpu and self.threads is not None:
            raise UsageError("--threads and --gpu do not go together: it is for the CPU")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
