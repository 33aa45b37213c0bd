"""Explain why torch cannot capture a part: the reason, the line of code and how to fix it."""

from __future__ import annotations

import linecache
import logging
import re
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from onnx import NodeProto
from torch.export import ExportedProgram
from torch.fx.experimental.symbolic_shapes import (
    ConstraintViolationError,
    GuardOnDataDependentSymNode,
)

from aeonnx.bundle import BATCH

__all__ = [
    "LARGEST_BATCH",
    "Where",
    "data_attribute_reason",
    "largest_batch",
    "reason_of",
    "where_in_program",
    "where_of_node",
    "where_of_step",
    "where_specialised",
]

_CAPTURE = Path(__file__).with_name("program.py")
_GUARDS = logging.getLogger("torch.fx.experimental.symbolic_shapes")
_SITE = Path(torch.__file__).parents[1]
_OURS = (
    *(_SITE / name for name in ("torch", "onnx", "onnxscript", "onnx_ir")),
    *(Path(__file__).parents[2] / name for name in ("exporting", "cli")),
)
"""Folders of library code: errors point to the user's code instead."""

_STANDARD = Path(sysconfig.get_paths()["stdlib"])
_TRACE = "pkg.torch.onnx.stack_trace"
_SYMBOL = re.compile(r"\bs\d+\b")  # torch's name of the batch, the one dynamic axis
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in ')
_OPERATOR = re.compile(r"OpOverload\(op='([\w.:]+?)(?:\.default)?'")
_TRANSLATED = re.compile(
    r"Error when translating node .*?target=torch\.ops\.([\w.]+?)(?:\.default)?\]"
)
_SUGGESTED = re.compile(r"^  (\w+) = (.+)$", re.MULTILINE)
_UP_TO = re.compile(rf"Dim\('{BATCH}', max=(\d+)\)")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

LARGEST_BATCH = 4096
"""The gate compares one row more than the largest batch of a branch, up to so many."""

_BATCH_ADVICE = (
    "take sizes from the tensor, as in x.reshape(x.shape[0], -1) or x.reshape(-1, 8), make new "
    "tensors with torch.zeros_like(x) or expand, and write loops over the batch as operations on "
    "the whole tensor; or fix the batch with --static-batch"
)
_SIZES_ADVICE = (
    "write it without a question about the size, or state in parts() which sizes the axis may have "
    "(min, max, multiple), or one number in its place in the shape"
)
_OPERATOR_ADVICE = "write it with other operators, or leave that step out of the part"
_DATA_IS_LOST = (
    ".data is captured as a constant, cut off from its input",
    "write .detach() instead of .data",
)
_VALUES_ADVICE = (
    "a graph cannot branch on values in Python: choose between results with torch.where, or use "
    "torch.cond; checks of values belong outside the module"
)


@dataclass(frozen=True)
class Where:
    """A line of the user's module.

    As text: "file:line (code)", with the path relative to the working directory, or else only the
    file's name.
    """

    file: str
    line: int

    @property
    def code(self) -> str:
        """The source code of the line; empty if the file cannot be read."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        path = Path(self.file)
        here = Path.cwd()
        name = str(path.relative_to(here)) if path.is_relative_to(here) else path.name
        return f"{name}:{self.line}" + (f" ({self.code})" if self.code else "")

    @staticmethod
    def told(reason: str, place: Where | None) -> str:
        """The reason, followed by the line if it is known."""
        return f"{reason}, at {place}" if place else reason


def reason_of(error: BaseException, place: Where | None = None) -> str:
    """Explain an error of torch's exporter to the author of the module.

    Args:
        error: as it was raised, with its causes.
        place: the line of the module; None to find it in the error.
    """
    chain = list(_chain(error))
    place = place or _where(chain)
    reason = _untranslated(chain)
    if reason:
        return Where.told(reason, place) + f": {_OPERATOR_ADVICE}"
    reason, advice = _known(chain, place)
    return Where.told(reason, place) + (f": {advice}" if advice else "")


def largest_batch(error: BaseException | None) -> int | None:
    """The largest batch that takes the branch which was captured.

    Args:
        error: of torch.export.

    Returns:
        The size; None if the error has another reason too.
    """
    if error is None or not any(_is_specialised(item) for item in _chain(error)):
        return None
    text = "\n".join(str(item) for item in _chain(error) if "Suggested fixes:" in str(item))
    fixes = dict(_SUGGESTED.findall(text.partition("Suggested fixes:")[2]))
    found = _UP_TO.fullmatch(fixes.get(BATCH, ""))
    return int(found[1]) if found and len(fixes) == 1 and int(found[1]) < LARGEST_BATCH else None


def data_attribute_reason(place: Where | None) -> str:
    """Why `.data` is refused, and what to write."""
    reason, advice = _DATA_IS_LOST
    return f"{Where.told(reason, place)}: {advice}"


def _known(chain: list[BaseException], place: Where | None) -> tuple[str, str]:
    """The reason, and how to fix it; "" if no fix is known."""
    code = place.code if place else ""
    text = "\n".join(map(str, chain))
    if any(isinstance(item, GuardOnDataDependentSymNode) for item in chain):
        if re.search(r"\.(item|tolist)\(|\b(int|float|bool|range)\(", code):
            return "a tensor's value is converted to a Python number", _VALUES_ADVICE
        return "control flow depends on a tensor's values", _VALUES_ADVICE
    if any(_is_specialised(item) for item in chain):
        axes = _axes(text)
        reason = f"the code works only for some {axes or 'batch sizes'}{_sizes(text)}"
        return reason, _SIZES_ADVICE if axes else _BATCH_ADVICE
    if ".numpy() is not supported" in text or "numpy" in code:
        return (
            "numpy cannot be part of a graph",
            "use torch's functions, or store constants in a buffer",
        )
    if "fake tensor in the exported program" in text:
        return _DATA_IS_LOST
    if re.search(r"\.(item|tolist)\(", code):
        return "a tensor's value is converted to a Python number", _VALUES_ADVICE
    # Where torch.onnx fails, its own error is general advice, and the cause has the reason.
    return _first_words(chain[-1] if "Next steps:" in str(chain[0]) else chain[0]), ""


def _axes(text: str) -> str:
    """The axes that the code restricts, from the error's text; "" for that of rows alone."""
    found = re.search(r"Constraints violated \(([^)]*)\)", text)
    names = sorted({name.partition("_")[0] for name in found[1].split(", ")}) if found else []
    others = [name for name in names if name not in ("", BATCH)]
    return f"sizes of {' and '.join(others)}" if others else ""


def _sizes(text: str) -> str:
    fixed = re.search(r"batch = (\d+)\b", text)
    if fixed:
        return f" (it was captured with {fixed[1]})"
    return ""


def _first_words(error: BaseException) -> str:
    """The first line of an error, without colour codes and non-ASCII symbols."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = _SYMBOL.sub(BATCH, _COLOURS.sub("", lines[0])) if lines else ""
    text = "".join(letter for letter in text if letter.isascii()).strip().rstrip(".")
    return text or type(error).__name__


def _untranslated(chain: list[BaseException]) -> str | None:
    """That torch.onnx has no translation of an operator, or one that failed; None otherwise."""
    for item in chain:
        if type(item).__name__ == "DispatchError" or "No ONNX function found" in str(item):
            found = _OPERATOR.search(str(item))
            if found:
                operator = found[1].replace("aten::", "aten.")
                return f"torch.onnx does not support the operator {operator}"
    for item in chain:
        found = _TRANSLATED.search(str(item))
        if found:
            why = _first_words(chain[-1])
            return f"torch.onnx cannot translate this use of the operator {found[1]} ({why})"
    return None


def where_in_program(program: ExportedProgram, constants: Iterable[str]) -> Where | None:
    """The line of the module that first uses one of these lifted constants."""
    wanted = set(constants)
    targets = program.graph_signature.inputs_to_lifted_tensor_constants
    for node in program.graph.nodes:
        if any(targets.get(source.name) in wanted for source in node.all_input_nodes):
            return where_of_step(node)
    return None


def where_of_step(step: torch.fx.Node) -> Where | None:
    """The line of the module that a step of its program comes from."""
    return _in_trace(str(step.meta.get("stack_trace", "")))


def where_of_node(node: NodeProto) -> Where | None:
    """The line of the module that a node of the exporter's graph comes from."""
    traces = [item.value for item in node.metadata_props if item.key == _TRACE]
    return _in_trace(traces[0]) if traces else None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and the chain of its causes."""
    met: BaseException | None = error
    while met is not None:
        yield met
        met = met.__cause__ or met.__context__


def _where(chain: Iterable[BaseException]) -> Where | None:
    """The innermost line of the user's code: of the error itself, or else of its causes."""
    for error in chain:
        frames = [
            Where(frame.filename, frame.lineno or 0)
            for frame in traceback.extract_tb(error.__traceback__)
        ]
        found = _innermost(frames) or _in_trace(str(error)) or _of_translated(error)
        if found:
            return found
    return None


def _of_translated(error: BaseException) -> Where | None:
    """The line of the node that was being translated: the error only names the node."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        node = frame.f_locals.get("node")
        if isinstance(node, torch.fx.Node):
            return where_of_step(node)
    return None


def _in_trace(text: str) -> Where | None:
    """The innermost line of the user's code in a printed traceback."""
    return _innermost([Where(file, int(line)) for file, line in _FRAME.findall(text)])


def _innermost(frames: list[Where]) -> Where | None:
    theirs = [frame for frame in frames if _is_theirs(frame.file)]
    return theirs[-1] if theirs else None


def _is_theirs(file: str) -> bool:
    path = Path(file)
    if file.startswith("<") or any(path.is_relative_to(folder) for folder in _OURS):
        return False
    return path.is_relative_to(_SITE) or not path.is_relative_to(_STANDARD)


class _Listener(logging.Handler):
    """Records the first line of the module at which torch assumed something about a size."""

    def __init__(self) -> None:
        super().__init__()
        self.place: Where | None = None

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        kept = text.startswith(("eval ", "runtime_assert ")) and "[guard suppressed]" not in text
        if self.place is None and kept:
            stack = traceback.extract_stack()
            ours = max(i for i, frame in enumerate(stack) if Path(frame.filename) == _CAPTURE)
            self.place = _innermost(
                [Where(frame.filename, frame.lineno or 0) for frame in stack[ours + 1 :]]
            )


def where_specialised(error: BaseException, again: Callable[[], object]) -> Where | None:
    """The line that fixed a dynamic size.

    torch's error does not name the line, but its log has a record when it happens: the capture runs
    once more with a handler on this log.

    Args:
        error: of the capture.
        again: repeats the capture; must be called from `program.py`.

    Returns:
        The line; None if the error has another cause or the line was not found.
    """
    if not any(_is_specialised(item) for item in _chain(error)):
        return None
    listener = _Listener()
    before = _GUARDS.level, _GUARDS.handlers, _GUARDS.propagate, logging.root.manager.disable
    logging.disable(logging.NOTSET)
    _GUARDS.handlers, _GUARDS.propagate = [listener], False
    _GUARDS.setLevel(logging.INFO)
    try:
        again()
    except Exception:  # noqa: S110  # it is the error that we already have
        pass
    finally:
        _GUARDS.setLevel(before[0])
        _GUARDS.handlers, _GUARDS.propagate = before[1:3]
        logging.disable(before[3])
    return listener.place


def _is_specialised(error: BaseException) -> bool:
    return isinstance(error, ConstraintViolationError) or "Constraints violated" in str(error)
