"""Every error that aeonnx raises on purpose.

Catch `AeonnxError` to catch them all. The command line prints the message and leaves with
`exit_code`.

    AeonnxError                  1   something asked for was not done
    ├── UsageError               2   an option has no such value
    │   └── UnknownNameError     2   no such model, part, architecture, data set, provider
    ├── InputError               1   an array that a part cannot take
    │   └── ImageError           1   a file that is not the expected image or array
    ├── DataError                1   a data set that is missing or unreadable
    ├── TrainingError            1   training cannot go on
    ├── CheckpointError          1   a checkpoint that is missing, damaged or another model's
    ├── BundleError              1   a bundle that is missing, damaged or incomplete
    │   ├── ManifestError        1   manifest.json is not what the format says
    │   └── IntegrityError       1   a file is not the one that the manifest names
    │       └── RefusedGraphError 1  onnxruntime does not open it
    ├── ModuleError              1   code of a model from elsewhere that raised an error of its own
    ├── GraphError               1   a graph that a bundle must not hold
    ├── RunError                 1   a graph that stopped while it ran
    │   └── DeviceMemoryError    1   it needs more memory than there is
    ├── ParityError              3   the graph and torch differ by more than the tolerance
    ├── QualityError             3   a variant in fewer bits that loses too much
    ├── GoldenMismatchError      3   a bundle does not give its golden vectors on this machine
    ├── Interrupted            130   Ctrl-C (SIGTERM: 143, SIGHUP: 129); what was whole stays
    ├── OutputError              1   a result that cannot be written
    └── SetupError               4   this machine lacks something
        ├── OldRuntimeError      4   a graph needs a newer onnxruntime
        ├── MissingExtraError    4   an optional dependency is not installed
        ├── NpmError             4   npm is missing, or did not fetch what the page runs with
        └── ProviderError        4   an execution provider was asked for and cannot run here
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
    "RunError",
    "SetupError",
    "TrainingError",
    "UnknownNameError",
    "UsageError",
]


class AeonnxError(Exception):
    """Base of all errors of aeonnx. The message says what was expected, what came, what to do."""

    exit_code = 1


class UsageError(AeonnxError):
    """An option or argument has a value that nothing can be done with."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not known; the message lists the known ones and suggests the nearest.

    Args:
        kind: what the name stands for, such as "model".
        got: the name that came.
        known: the names that would do.
        more: what else would do, a sentence.
    """

    def __init__(self, kind: str, got: str, known: Iterable[str], more: str = "") -> None:
        import difflib  # slow to import, and most runs meet no error

        known = sorted(known)
        near = difflib.get_close_matches(got.lower(), known, n=1, cutoff=0.5)
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
    """Training cannot go on; the last good checkpoint is kept."""


class CheckpointError(AeonnxError):
    """A checkpoint is missing, damaged, foreign, or of another model."""


class BundleError(AeonnxError):
    """A bundle is missing, incomplete, or of another checkpoint."""


class ManifestError(BundleError):
    """manifest.json is damaged, edited, or of a newer format."""


class IntegrityError(BundleError):
    """A file of a bundle is missing or is not the one that the manifest names."""


class ModuleError(AeonnxError):
    """A model from elsewhere stopped with an error of its own, whose line the message shows."""


class RefusedGraphError(IntegrityError):
    """onnxruntime does not open a graph, though it is new enough."""


class GraphError(AeonnxError):
    """A graph breaks a rule of the bundle: random or training nodes, foreign domains, opset."""


class RunError(AeonnxError):
    """onnxruntime could not run a graph on these inputs."""


class DeviceMemoryError(RunError):
    """Memory ran out, of the device or the machine, even for the smallest batch that was tried."""


class ParityError(AeonnxError):
    """A graph and eager torch differ by more than the measured tolerance. Nothing was written."""

    exit_code = 3


class QualityError(AeonnxError):
    """A variant loses more than its gate allows, or is neither smaller nor faster."""

    exit_code = 3


class GoldenMismatchError(AeonnxError):
    """A bundle does not reproduce its golden vectors on this machine."""

    exit_code = 3


class Interrupted(AeonnxError):  # noqa: N818  # it is the user's wish, not a fault
    """Stopped by a signal; the last good result is kept.

    Args:
        message: what was going on, and how to go on.
        exit_code: the shell's: 130 for SIGINT (Ctrl-C), 143 for SIGTERM, 129 for SIGHUP.
    """

    exit_code = 130

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class OutputError(AeonnxError):
    """A result cannot be written: it exists already, or the disk is full or read-only."""


class SetupError(AeonnxError):
    """This machine or environment lacks something that was asked for."""

    exit_code = 4


class OldRuntimeError(SetupError):
    """onnxruntime is older than a graph needs, and cannot open or run it."""


class MissingExtraError(SetupError):
    """An optional dependency is not installed; the message holds the pip line.

    Args:
        module: the module that could not be imported.
        extra: the extra of aeonnx that brings it.
        purpose: what needs it.
    """

    def __init__(self, module: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {module}, which is not installed: pip install 'aeonnx[{extra}]'"
        )


class NpmError(SetupError):
    """npm is missing, or could not fetch onnxruntime-web."""


class ProviderError(SetupError):
    """An execution provider was asked for by name and cannot run on this machine.

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
