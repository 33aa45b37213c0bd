"""The findings of the doctor, as frozen dataclasses for JSON and tables."""

from __future__ import annotations

from dataclasses import dataclass

from aeonnx.errors import ProviderError, SetupError

__all__ = ["Cpu", "Diagnosis", "Driver", "Gpu", "Library", "ProviderCheck"]


@dataclass(frozen=True)
class Cpu:
    """The processor, and how much of it this process may use.

    Args:
        model: its name.
        features: its instruction sets that make onnxruntime's kernels faster.
        cores: number of cores of the machine.
        usable: number of cores that a session of this process uses.
        quota: CPU time that the control groups allow, in cores; None if there is no limit.
    """

    model: str
    features: tuple[str, ...]
    cores: int
    usable: int
    quota: float | None


@dataclass(frozen=True)
class Gpu:
    """A GPU that the driver lists.

    Args:
        name: such as "NVIDIA H100 80GB HBM3".
        memory_bytes: its total memory.
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
        cuda: the newest CUDA version it supports, such as "13.0"; None if it does not start.
        problem: why no GPU can be used; None if one can.
    """

    version: str | None
    cuda: str | None
    problem: str | None


@dataclass(frozen=True)
class Library:
    """An NVIDIA library that an EP of the installed onnxruntime needs.

    Args:
        name: such as "libcudnn.so.9".
        needed_by: short names of the EPs, such as "cuda".
        path: where the dynamic loader finds it; None if it is not installed.
        remedy: how to install it; None if it is installed.
    """

    name: str
    needed_by: tuple[str, ...]
    path: str | None
    remedy: str | None


@dataclass(frozen=True)
class ProviderCheck:
    """An EP on which a graph was tried.

    Args:
        name: onnxruntime's name of it.
        reason: why it does not run, and what to do; None if it runs.
    """

    name: str
    reason: str | None


@dataclass(frozen=True)
class Diagnosis:
    """All findings.

    Args:
        versions: versions of the installed packages, by name.
        cuda: the CUDA version that onnxruntime is built for, such as "13.0"; None for a CPU build.
        cpu: the processor.
        driver: the NVIDIA driver.
        gpus: the GPUs that the driver lists.
        libraries: the libraries that the EPs need.
        providers: the EPs of the installed onnxruntime, and the requested one, each tried.
        requested: the requested EP; None if none was requested, or if onnxruntime does not start.
        telemetry: whether onnxruntime's telemetry is off.
        problems: what is wrong, with how to fix it where that is known. An EP that is merely not
            installed is no problem, unless it was requested or the machine has a GPU for it.
    """

    versions: dict[str, str]
    cuda: str | None
    cpu: Cpu
    driver: Driver
    gpus: tuple[Gpu, ...]
    libraries: tuple[Library, ...]
    providers: tuple[ProviderCheck, ...]
    requested: ProviderCheck | None
    telemetry: str
    problems: tuple[str, ...]

    def require_runnable(self) -> None:
        """Raise unless bundles run here, on the requested EP if there is one.

        Raises:
            ProviderError: the requested EP does not run.
            SetupError: no EP runs.
        """
        if not any(check.reason is None for check in self.providers):
            reasons = self.problems or [f"{ep.name}: {ep.reason}" for ep in self.providers]
            raise SetupError(f"no bundle can run here: {'; '.join(reasons)}")
        if self.requested and self.requested.reason:
            raise ProviderError(self.requested.name, self.requested.reason)
