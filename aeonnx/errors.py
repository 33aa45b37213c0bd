"""Every error that aeonnx raises on purpose.

Catch `AeonnxError` to catch them all. The command line prints the message and exits with
`exit_code`.

    AeonnxError                  1   base of all
    ├── UsageError               2   an option or argument has a value that is not allowed
    │   └── UnknownNameError     2   an unknown model, part, architecture, data set, provider
    ├── InputError               1   an array that a part does not accept
    │   └── ImageError           1   a file that is not the expected image or array
    ├── DataError                1   a data set that is missing or unreadable
    ├── TrainingError            1   training cannot continue
    ├── CheckpointError          1   a checkpoint that is missing, damaged or of another model
    ├── BundleError              1   a bundle that is missing, damaged or incomplete
    │   ├── ManifestError        1   manifest.json does not follow the format
    │   └── IntegrityError       1   a file differs from what the manifest records
    │       └── RefusedGraphError 1  onnxruntime cannot open a graph
    ├── ModuleError              1   code of an external model raised an error of its own
    ├── GraphError               1   a graph that is not allowed in a bundle
    ├── RequestError             1   a request that the server refuses or cannot answer
    ├── RunError                 1   a graph failed while it ran
    │   └── DeviceMemoryError    1   out of memory
    ├── ParityError              3   the graph and torch differ by more than the tolerance
    ├── QualityError             3   a reduced-precision variant loses too much, or gains nothing
    ├── GoldenMismatchError      3   a bundle does not reproduce its golden vectors here
    ├── Interrupted            130   Ctrl-C (SIGTERM: 143, SIGHUP: 129); complete results are kept
    ├── OutputError              1   a result that cannot be written
    └── SetupError               4   this machine or environment lacks something
        ├── OldRuntimeError      4   a graph needs a newer onnxruntime
        ├── MissingExtraError    4   an optional dependency is not installed
        ├── NpmError             4   npm is missing, or could not fetch onnxruntime-web
        └── ProviderError        4   a requested execution provider cannot run here
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "AeonnxError",
    "BundleError",
    "CheckpointError",
    "DataError",
    "DeviceMemoryError",
    "GoldenMismatchError",
    "GraphError",
    "ImageError",
    "InputError",
    "IntegrityError",
    "Interrupted",
    "ManifestError",
    "MissingExtraError",
    "ModuleError",
    "NpmError",
    "OldRuntimeError",
    "OutputError",
    "ParityError",
    "ProviderError",
    "QualityError",
    "RefusedGraphError",
    "RequestError",
    "RunError",
    "SetupError",
    "TrainingError",
    "UnknownNameError",
    "UsageError",
]


class AeonnxError(Exception):
    """Base of all errors of aeonnx. Messages say what was expected, what was found, what to do."""

    exit_code = 1


class UsageError(AeonnxError):
    """An option or argument has a value that is not allowed."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name is unknown; the message lists the known names and suggests the nearest.

    Args:
        kind: what the name stands for, such as "model".
        got: the unknown name.
        known: the allowed names.
        more: a sentence that says what else is allowed.
    """

    def __init__(self, kind: str, got: str, known: Iterable[str], more: str = "") -> None:
        import difflib  # slow to import, and rarely needed

        known = sorted(known)
        # A number is no misspelling of another.
        words = [] if got.isdecimal() else known
        near = difflib.get_close_matches(got.lower(), words, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        names = ", ".join(known) or "none"
        super().__init__(f"unknown {kind} {got!r}.{hint} Known: {names}. {more}".rstrip())


class InputError(AeonnxError, ValueError):
    """An array has the wrong name, dtype, rank, shape or values for a part."""


class ImageError(InputError):
    """A file is not a readable image or array, or has the wrong size."""


class DataError(AeonnxError):
    """A data set is missing or cannot be read."""


class TrainingError(AeonnxError):
    """Training cannot continue; the last good checkpoint is kept."""


class CheckpointError(AeonnxError):
    """A checkpoint is missing, damaged, from another program, or of another model."""


class BundleError(AeonnxError):
    """A bundle is missing, incomplete, or of another checkpoint."""


class ManifestError(BundleError):
    """manifest.json is damaged, was edited, or has a newer format."""


class IntegrityError(BundleError):
    """A file of a bundle is missing, or its size or SHA-256 is not what the manifest records."""


class ModuleError(AeonnxError):
    """An external model raised an error of its own; the message shows the line of code."""


class RefusedGraphError(IntegrityError):
    """onnxruntime cannot open a graph, although its version is new enough."""


class GraphError(AeonnxError):
    """A graph is not allowed: random or training nodes, non-standard operator domains, opset."""


class RequestError(AeonnxError):
    """A request that the server refuses or cannot answer; clients read the message.

    Args:
        status: of HTTP.
        message: what was expected, what came and what to do, without paths or library text.
        reason: label of the metric of failures: "invalid", "rejected", "expired", "cancelled" or
            "failed".
        retry_after: seconds after which the client may try again; None for no such advice.
    """

    def __init__(
        self, status: int, message: str, reason: str = "invalid", retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.reason, self.retry_after = status, reason, retry_after


class RunError(AeonnxError):
    """onnxruntime could not run a graph on these inputs."""


class DeviceMemoryError(RunError):
    """Out of memory, on the device or the machine, even with the smallest batch tried."""


class ParityError(AeonnxError):
    """A graph and eager torch differ by more than the measured tolerance. Nothing was written."""

    exit_code = 3


class QualityError(AeonnxError):
    """A variant loses more quality than allowed, or is neither smaller nor faster."""

    exit_code = 3


class GoldenMismatchError(AeonnxError):
    """A bundle does not reproduce its golden vectors on this machine."""

    exit_code = 3


class Interrupted(AeonnxError):  # noqa: N818  # the user stopped it: no error
    """Stopped by a signal; the last good result is kept.

    Args:
        message: what was stopped, and how to continue.
        exit_code: as in a shell: 130 for SIGINT (Ctrl-C), 143 for SIGTERM, 129 for SIGHUP.
    """

    exit_code = 130

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class OutputError(AeonnxError):
    """A result cannot be written: the file exists, or the disk is full or read-only."""


class SetupError(AeonnxError):
    """This machine or environment lacks something that the call needs."""

    exit_code = 4


class OldRuntimeError(SetupError):
    """onnxruntime is older than a graph needs, and cannot open or run it."""


class MissingExtraError(SetupError):
    """An optional dependency is not installed; the message contains the pip command.

    Args:
        module: the module that could not be imported.
        extra: the extra of aeonnx that installs it.
        purpose: what needs it.
    """

    def __init__(self, module: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {module}, which is not installed: pip install 'aeonnx[{extra}]'"
        )


class NpmError(SetupError):
    """npm is missing, or could not fetch onnxruntime-web."""


class ProviderError(SetupError):
    """An execution provider that was requested by name cannot run on this machine.

    Args:
        provider: its full name.
        reason: what is missing, and what to do about it.
    """

    def __init__(self, provider: str, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"{provider} was asked for and cannot run here: {reason}. "
            "To run without it: --provider cpu, or providers=['CPUExecutionProvider']"
        )
