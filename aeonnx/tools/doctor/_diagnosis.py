"""What the doctor finds: frozen records, for JSON and for tables."""

from __future__ import annotations

from dataclasses import dataclass

from aeonnx.errors import ProviderError, SetupError

__all__ = ["Cpu", "Diagnosis", "Driver", "Gpu", "Library", "Tried"]


@dataclass(frozen=True)
class Cpu:
    """The processor, and how much of it is ours.

    Args:
        model: its name.
        features: those of its instruction sets that onnxruntime's kernels are faster with.
        cores: of the machine.
        usable: cores that a session of this process uses.
        quota: cores' worth of time that the control groups allow; None if there is no limit.
    """

    model: str
    features: tuple[str, ...]
    cores: int
    usable: int
    quota: float | None


@dataclass(frozen=True)
class Gpu:
    """One GPU that the driver sees.

    Args:
        name: such as "NVIDIA H100 80GB HBM3".
        memory_bytes: all of it.
        compute_capability: such as "9.0".
    """

    name: str
    memory_bytes: int
    compute_capability: str


@dataclass(frozen=True)
class Driver:
    """The NVIDIA driver.

    Args:
        version: such as "580.65.06"; None if it is unknown.
        cuda: the newest CUDA that it runs, such as "13.0"; None if it does not start.
        problem: why no GPU can be used; None if one can.
    """

    version: str | None
    cuda: str | None
    problem: str | None


@dataclass(frozen=True)
class Library:
    """A library of NVIDIA's that an EP of the installed onnxruntime is linked with.

    Args:
        name: such as "libcudnn.so.9".
        needed_by: the EPs.
        path: where the dynamic loader finds it; None if it does not.
        remedy: what brings it; None if it is there.
    """

    name: str
    needed_by: tuple[str, ...]
    path: str | None
    remedy: str | None


@dataclass(frozen=True)
class Tried:
    """An EP that was given a graph to run.

    Args:
        name: onnxruntime's.
        reason: why it does not run, and what to do; None if it does.
    """

    name: str
    reason: str | None


@dataclass(frozen=True)
class Diagnosis:
    """All that was found.

    Args:
        versions: of what is installed, by name.
        cuda: the CUDA that onnxruntime is built for, such as "13.0"; None if it has none.
        cpu: the processor.
        driver: the NVIDIA driver.
        gpus: those that it sees.
        libraries: those that EPs need.
        providers: the EPs of the installed onnxruntime, and the one that was asked for, each tried.
        asked: the one that was asked for; None if any will do, or if there is no onnxruntime.
        telemetry: what onnxruntime may send home.
        problems: what is wrong, each with what mends it.
    """

    versions: dict[str, str]
    cuda: str | None
    cpu: Cpu
    driver: Driver
    gpus: tuple[Gpu, ...]
    libraries: tuple[Library, ...]
    providers: tuple[Tried, ...]
    asked: Tried | None
    telemetry: str
    problems: tuple[str, ...]

    def require_runnable(self) -> None:
        """Raise unless bundles run here, on the EP that was asked for if there was one.

        Raises:
            ProviderError: that EP does not run.
            SetupError: none does.
        """
        if not any(tried.reason is None for tried in self.providers):
            reasons = self.problems or [f"{ep.name}: {ep.reason}" for ep in self.providers]
            raise SetupError(f"no bundle can run here: {'; '.join(reasons)}")
        if self.asked and self.asked.reason:
            raise ProviderError(self.asked.name, self.asked.reason)
