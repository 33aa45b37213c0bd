"""Runs all checks and derives the problems from their answers."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import aeonnx
from aeonnx._util.cuda_libraries import GPU_WHEEL
from aeonnx.errors import SetupError
from aeonnx.tools.doctor._ask import ask
from aeonnx.tools.doctor._cpu import examine_cpu
from aeonnx.tools.doctor._diagnosis import Diagnosis, Driver, Gpu, Library, ProviderCheck
from aeonnx.tools.doctor._libraries import examine_libraries, opened_later

__all__ = ["examine"]

_SOURCES = ("diffusers", "transformers", "pythae")  # libraries whose models `--from` loads
_PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "torch", "onnx", *_SOURCES)
_CUDA = "CUDAExecutionProvider"


def examine(provider: str | None = None) -> Diagnosis:
    """Find out what this machine has, and which EPs really run.

    Args:
        provider: the EP that must run; None for any.

    Raises:
        UsageError: onnxruntime knows no such provider.
    """
    installed: dict[str, Any] = {"eps": [], "cuda": None}
    problems = []
    try:
        installed = ask("onnxruntime")
    except SetupError as error:
        problems.append(str(error))
    broken: list[ProviderCheck] = []
    checked: list[ProviderCheck] = []
    requested = None
    if provider is not None and not problems:  # first, so that a typo is told at once
        names = {_short(ep): ep for ep in installed["eps"]}
        requested = _checked(names.get(_short(provider), provider), broken)
        checked.append(requested)
    checked += [
        _checked(ep, broken) for ep in installed["eps"] if not requested or ep != requested.name
    ]
    driver, gpus = _driver()
    libraries = examine_libraries()
    if not problems:
        problems += _gpu_problems(driver, installed["cuda"], checked) if gpus else []
        failed = [*broken, *([requested] if requested and requested.reason else [])]
        problems += [_described(ep) for ep in failed]
        problems += _library_problems(libraries, checked)
    return Diagnosis(
        versions=_versions(),
        cuda=installed["cuda"],
        cpu=examine_cpu(),
        driver=driver,
        gpus=gpus,
        libraries=libraries,
        providers=tuple(checked),
        requested=requested,
        telemetry=_telemetry(),
        problems=tuple(dict.fromkeys(problems)),
    )


def _driver() -> tuple[Driver, tuple[Gpu, ...]]:
    try:
        found = ask("driver")
    except SetupError as error:
        return Driver(None, None, f"the NVIDIA {error}"), ()
    return Driver(**found["driver"]), tuple(Gpu(**gpu) for gpu in found["gpus"])


def _short(name: str) -> str:
    return name.lower().removesuffix("executionprovider")


def _checked(name: str, broken: list[ProviderCheck]) -> ProviderCheck:
    """Try an EP; one that crashes, hangs or computes wrong numbers is added to `broken` too."""
    try:
        return ProviderCheck(**ask("provider", name))
    except SetupError as error:
        broken.append(ProviderCheck(name, str(error)))
        return broken[-1]


def _described(ep: ProviderCheck) -> str:
    """Why an EP does not run, with its name in front."""
    reason = str(ep.reason)
    return reason if reason.startswith(ep.name) else f"{ep.name}: {reason}"


def _gpu_problems(driver: Driver, cuda: str | None, checked: list[ProviderCheck]) -> list[str]:
    """Why onnxruntime does not use the GPU of this machine."""
    if cuda is None:
        return [f"there is a GPU, and onnxruntime is a build without CUDA: {GPU_WHEEL}"]
    if driver.cuda and _major(driver.cuda) < _major(cuda):
        return [
            f"the NVIDIA driver is made for CUDA {driver.cuda} and onnxruntime for CUDA {cuda}: "
            f"install a driver for CUDA {_major(cuda)} or newer"
        ]
    return [_described(ep) for ep in checked if ep.name == _CUDA and ep.reason]


def _library_problems(libraries: Sequence[Library], checked: Sequence[ProviderCheck]) -> list[str]:
    """Missing libraries of EPs that run without them until a graph needs them."""
    running = {_short(ep.name) for ep in checked if ep.reason is None}
    return [
        f"{library.name} is missing, needed by {', '.join(library.needed_by)}: {library.remedy}"
        for library in libraries
        if library.path is None
        and opened_later(library.name)
        and running.intersection(library.needed_by)
    ]


def _major(version: str) -> int:
    return int(version.partition(".")[0])


def _versions() -> dict[str, str]:
    found = {"aeonnx": aeonnx.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _telemetry() -> str:
    # `aeonnx.runtime` sets it to 1 unless it is set.
    value = os.environ.get("ORT_DISABLE_TELEMETRY", "1")
    name = f"ORT_DISABLE_TELEMETRY={value}"
    if value == "1":
        return f"off: aeonnx runs onnxruntime with {name}"
    return f"on: {name} is set, and only 1 turns it off"
