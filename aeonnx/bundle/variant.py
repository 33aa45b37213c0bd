"""One graph file of a bundle, with its parity and quality measurements."""

from __future__ import annotations

from dataclasses import dataclass, field

from aeonnx._util.serde import OPTIONAL, require
from aeonnx.bundle.axes import BATCH, Axis, Shape, axes_of, is_size, shape_at
from aeonnx.bundle.blending import Blending
from aeonnx.bundle.normal import NormalScores
from aeonnx.bundle.rows import batch_of, has_rows, shape_of_rows, solve_rows
from aeonnx.bundle.tensors import (
    LARGEST,
    NAME,
    Golden,
    GoldenTensor,
    TensorSpec,
    require_digest,
    require_file,
)

__all__ = [
    "PRECISIONS",
    "ActivationCoverage",
    "Conversion",
    "OutputParity",
    "Quality",
    "Variant",
]

PRECISIONS = ("fp32", "fp16", "int8")
"""Of the graphs of a part, the most exact first."""

_METRICS = ("snr", "psnr", "agreement")
_METHODS = ("float16", "dynamic", "static", "weights")


@dataclass(frozen=True)
class OutputParity:
    """The parity of one output on one kind of inputs: graph against eager torch.

    Args:
        inputs: kind of inputs: "real", "random", "edge" values, "activation" for inputs that
            activate further units, "ill-conditioned" for inputs at which float32 itself is too
            inaccurate, "other codes" for inputs for which a graph in reduced precision gives more
            other codes than a golden row may have.
        rows: number of rows.
        batch: batch size at which the largest difference occurred, of all that were tried.
        max_abs_diff: largest |graph - torch float32|; of codes and other outputs of int32, int64 or
            bool, the largest share of a row's values that differ, here and below.
        max_rel_diff: largest |graph - torch float32| / |torch float32|, over values that are not
            tiny.
        error: largest |graph - torch float64|.
        noise_floor: largest |float32 - float64| of torch, or of simulated rounding.
        tolerance: upper limit of `max_abs_diff` and `error`.
        sizes: of the other dynamic axes, by name; empty without any.
    """

    inputs: str
    rows: int
    batch: int
    max_abs_diff: float
    max_rel_diff: float
    error: float
    noise_floor: float
    tolerance: float
    sizes: dict[str, int]

    def __post_init__(self) -> None:
        _require_sizes(self.sizes)


def _require_sizes(sizes: dict[str, int]) -> None:
    for axis, size in sizes.items():
        require(
            NAME.fullmatch(axis) and is_size(size, 1),
            f"sizes: expected sizes above 0 by the name of their axis, got {axis!r}: {size}",
        )


@dataclass(frozen=True)
class ActivationCoverage:
    """Number of units with an activation function, and of those that no input activated."""

    units: int
    inactive: int


@dataclass(frozen=True)
class Quality:
    """The quality of one output of a variant, measured on the same images as the fp32 graph.

    Args:
        metric: "snr", the variance of the fp32 output over the mean squared difference from it, in
            dB (at most 200); "psnr", of the images that the output is or is decoded to, against
            the test images, in dB; or "agreement", the share of labels or whole numbers that are
            equal to those of the fp32 graph.
        value: the metric of the variant.
        least: the lowest `value` that passes.
        images: number of images.
        fp32: PSNR of the fp32 graph; None for the other metrics, which compare with that graph.
        sizes: of the other dynamic axes, by name; empty without any.
    """

    metric: str
    value: float
    least: float
    images: int
    fp32: float | None
    sizes: dict[str, int] = field(default_factory=dict, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        require(
            self.metric in _METRICS,
            f"metric: expected one of {', '.join(_METRICS)}, got {self.metric!r}",
        )
        _require_sizes(self.sizes)

    @property
    def passed(self) -> bool:
        """Whether `value` reaches `least`; NaN does not."""
        return self.value >= self.least

    @property
    def drop(self) -> float | None:
        """PSNR of the fp32 graph minus that of the variant, in dB; None for other metrics."""
        return None if self.fp32 is None else self.fp32 - self.value


@dataclass(frozen=True)
class Conversion:
    """How a graph in reduced precision was made of the fp32 graph.

    Args:
        method: "float16"; "dynamic" or "static", with weights in int8 and activations in uint8,
            whose ranges are found at run time or at export; or "weights", with weights in int8 and
            activations in float32.
        in_fp32: number of nodes (float16) or layers with weights (others) that stay in float32.
        of: number of all such nodes or layers.
    """

    method: str
    in_fp32: int
    of: int

    def __post_init__(self) -> None:
        require(
            self.method in _METHODS,
            f"method: expected one of {', '.join(_METHODS)}, got {self.method!r}",
        )
        require(
            0 <= self.in_fp32 <= self.of,
            f"in_fp32: expected 0 to {self.of}, as `of` says, got {self.in_fp32}",
        )


@dataclass(frozen=True)
class Variant:
    """One graph file: a part in one precision, with float or uint8 images.

    Args:
        file: path inside the bundle.
        sha256: digest of the file.
        bytes: size of the file.
        macs: multiply-adds per row, counted in the fp32 graph's Gemm, MatMul, Conv and
            ConvTranspose; None if the number depends on values.
        opset: version of the ONNX operator set.
        ir_version: version of the ONNX file format.
        min_onnxruntime: oldest release of onnxruntime that reads this opset and IR version.
        inputs: in order.
        outputs: in order; the part's verb returns the first.
        axes: the dynamic axes of inputs and outputs, by name.
        parity: measurements by output name, one per kind of inputs and sizes of axes.
        parity_batches: batch sizes at which parity was measured.
        activations: units that the parity inputs activated; None if not counted.
        golden: golden vectors, one set for each of some sizes of the axes; at least one.
        quality: of each output against the fp32 graph's; None if the graph is the fp32 graph or
            exactly as good.
        percentiles: thresholds of outputs, by output name and percentile such as "p99".
        normal: what normal rows score, by the same outputs: the distribution behind `percentiles`.
        blending: what the fp32 graph loses in blended tiles, if an axis has no margin; None if it
            was not measured.
        conversion: how the graph was made of the fp32 graph; None if it is in fp32.
        ensemble: number of flips and turns of each image that the result is the mean over.
    """

    file: str
    sha256: str
    bytes: int
    macs: int | None
    opset: int
    ir_version: int
    min_onnxruntime: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    axes: dict[str, Axis]
    parity: dict[str, tuple[OutputParity, ...]]
    parity_batches: tuple[int, ...]
    activations: ActivationCoverage | None
    golden: tuple[Golden, ...]
    quality: dict[str, tuple[Quality, ...]] | None
    percentiles: dict[str, dict[str, float]]
    blending: Blending | None = field(default=None, metadata=OPTIONAL)
    conversion: Conversion | None = field(default=None, metadata=OPTIONAL)
    normal: dict[str, NormalScores] = field(default_factory=dict, metadata=OPTIONAL)
    ensemble: int = field(default=1, metadata=OPTIONAL)

    def __post_init__(self) -> None:
        require_file(self.file)
        require_digest(self.sha256)
        require(self.ensemble in (1, 4, 8), f"ensemble: expected 1, 4 or 8, got {self.ensemble}")
        require(0 < self.bytes <= LARGEST, f"bytes: expected 1 to 2**31, got {self.bytes}")
        for kind, specs in (("inputs", self.inputs), ("outputs", self.outputs)):
            require(specs, f"{kind}: expected at least one tensor")
            names = [spec.name for spec in specs]
            require(len(set(names)) == len(names), f"{kind}: expected distinct names, got {names}")
        _require_axes(self)
        _require_rows(self)
        if self.quality is not None:
            expected, got = (spec.name for spec in self.outputs), self.quality
            require(
                set(expected) == got.keys() and all(got.values()),
                f"quality: expected what was measured of every output of the graph, got {[*got]}",
            )
        unknown = sorted(self.percentiles.keys() - {spec.name for spec in self.outputs})
        require(not unknown, f"percentiles: expected outputs of the graph, got {unknown}")
        require(
            self.normal.keys() <= self.percentiles.keys(),
            f"normal: expected outputs with percentiles, got {sorted(self.normal)}",
        )
        require(self.golden, "golden: expected at least one set of vectors")
        for number, golden in enumerate(self.golden):
            _require_golden(self, golden, f"golden.{number}")


def _require_axes(variant: Variant) -> None:
    """Check that the axes are those of the tensors, and that inputs decide the sizes of outputs."""
    known, seen = (
        {size.axis for size in axes_of([spec.shape for spec in specs])}
        for specs in (variant.inputs, (*variant.inputs, *variant.outputs))
    )
    require(
        variant.axes.keys() == seen,
        f"axes: expected {sorted(seen)}, those of the tensors, got {sorted(variant.axes)}",
    )
    require(
        seen == known,
        f"outputs: expected sizes that follow axes of the inputs, got {sorted(seen - known)}",
    )
    rows = variant.axes.get(BATCH)
    require(
        rows in (None, Axis(margin=0)),
        "axes.batch: expected any number of rows (multiple 1, min 1, max null), each on its own "
        f"(margin 0), got {rows}",
    )
    for size in axes_of([spec.shape for spec in (*variant.inputs, *variant.outputs)]):
        multiple = variant.axes[size.axis].multiple
        require(
            multiple % size.divisor == 0,
            f"axes.{size.axis}.multiple: expected a multiple of {size.divisor}, by which a size "
            f"divides it, got {multiple}",
        )


def _require_rows(variant: Variant) -> None:
    """Check that all tensors agree in their number of rows."""
    first = variant.outputs[0].shape[0]
    for spec in variant.outputs:
        require(
            spec.shape[0] == first,
            f"outputs: expected the same first size in all, got {first} and {spec.shape[0]}",
        )
    require(
        any(has_rows(variant, spec) for spec in variant.inputs),
        f"inputs: expected one with a first size of {first}, as the outputs have",
    )


def _require_golden(variant: Variant, golden: Golden, field: str) -> None:
    """Check that stored arrays have the shapes of the tensors, at one size of each axis."""
    for kind, specs, stored in (
        ("inputs", variant.inputs, golden.inputs),
        ("outputs", variant.outputs, golden.outputs),
    ):
        names = sorted(spec.name for spec in specs)
        require(
            set(names) == stored.keys(), f"{field}.{kind}: expected {names}, got {sorted(stored)}"
        )
    # A graph with a fixed number of rows has golden vectors of several batches.
    batch = batch_of(variant)
    first = next(spec.name for spec in variant.inputs if has_rows(variant, spec))
    rows = next(iter(golden.inputs[first].shape), 0)
    require(
        rows > 0 and rows % (batch or 1) == 0,
        f"{field}.inputs: expected batches of {batch or 1} rows, got {rows} rows",
    )
    given = {name: tensor.shape for name, tensor in golden.inputs.items()}
    for spec in variant.inputs:
        declared = shape_of_rows(variant, spec)
        _require_like(f"{field}.inputs.{spec.name}", declared, given[spec.name])
    try:
        sizes = solve_rows(variant, given)
    except ValueError as error:
        raise ValueError(f"{field}.inputs.{error}") from None
    for kind, specs, stored in (
        ("inputs", variant.inputs, golden.inputs),
        ("outputs", variant.outputs, golden.outputs),
    ):
        for spec in specs:
            shape = shape_at(shape_of_rows(variant, spec), sizes)
            _require_stored(stored[spec.name], shape, spec.dtype, f"{field}.{kind}.{spec.name}")
    for name, tensor in golden.outputs.items():
        tolerances = tensor.tolerance or ()
        require(
            len(tolerances) == rows and all(tolerance > 0 for tolerance in tolerances),
            f"{field}.outputs.{name}.tolerance: expected {rows} numbers above 0, one for each "
            f"row, got {len(tolerances)}",
        )


def _require_like(field: str, declared: Shape, shape: tuple[int, ...]) -> None:
    same = len(declared) == len(shape) and all(
        isinstance(size, str) or size == given for size, given in zip(declared, shape, strict=True)
    )
    require(same, f"{field}: expected {list(declared)}, got {list(shape)}")


def _require_stored(
    tensor: GoldenTensor, shape: tuple[int | str, ...], dtype: str, field: str
) -> None:
    require(
        (tensor.dtype, tensor.shape) == (dtype, shape),
        f"{field}: expected {dtype} {list(shape)}, got {tensor.dtype} {list(tensor.shape)}",
    )
