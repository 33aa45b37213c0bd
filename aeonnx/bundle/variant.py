"""One graph file of a bundle, with its parity and quality measurements."""

from __future__ import annotations

from dataclasses import dataclass

from aeonnx._util.serde import require
from aeonnx.bundle.rows import batch_of, has_rows
from aeonnx.bundle.tensors import (
    LARGEST,
    Golden,
    GoldenTensor,
    TensorSpec,
    require_digest,
    require_file,
)

__all__ = ["ActivationCoverage", "OutputParity", "Quality", "Variant"]


_METRICS = ("snr", "psnr", "agreement")


@dataclass(frozen=True)
class OutputParity:
    """The parity of one output on one kind of inputs: graph against eager torch.

    Args:
        inputs: kind of inputs: "real", "random", "edge" values, "activation" for inputs that
            activate further units, "ill-conditioned" for inputs at which float32 itself is too
            inaccurate.
        rows: number of rows.
        batch: batch size at which the largest difference occurred, of all that were tried.
        max_abs_diff: largest |graph - torch float32|.
        max_rel_diff: largest |graph - torch float32| / |torch float32|, over values that are not
            tiny.
        error: largest |graph - torch float64|.
        noise_floor: largest |float32 - float64| of torch, or of simulated rounding.
        tolerance: upper limit of `max_abs_diff` and `error`.
    """

    inputs: str
    rows: int
    batch: int
    max_abs_diff: float
    max_rel_diff: float
    error: float
    noise_floor: float
    tolerance: float


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
    """

    metric: str
    value: float
    least: float
    images: int
    fp32: float | None

    def __post_init__(self) -> None:
        require(
            self.metric in _METRICS,
            f"metric: expected one of {', '.join(_METRICS)}, got {self.metric!r}",
        )

    @property
    def passed(self) -> bool:
        """Whether `value` reaches `least`; NaN does not."""
        return self.value >= self.least

    @property
    def drop(self) -> float | None:
        """PSNR of the fp32 graph minus that of the variant, in dB; None for other metrics."""
        return None if self.fp32 is None else self.fp32 - self.value


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
        parity: measurements by output name, one per kind of inputs.
        parity_batches: batch sizes at which parity was measured.
        activations: units that the parity inputs activated; None if not counted.
        golden: golden vectors.
        quality: of each output against the fp32 graph's; None if the graph is the fp32 graph or
            exactly as good.
        percentiles: of outputs over training images, by output name and percentile such as "p99".
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
    parity: dict[str, tuple[OutputParity, ...]]
    parity_batches: tuple[int, ...]
    activations: ActivationCoverage | None
    golden: Golden
    quality: dict[str, tuple[Quality, ...]] | None
    percentiles: dict[str, dict[str, float]]

    def __post_init__(self) -> None:
        require_file(self.file)
        require_digest(self.sha256)
        require(0 < self.bytes <= LARGEST, f"bytes: expected 1 to 2**31, got {self.bytes}")
        for kind, specs, golden in (
            ("inputs", self.inputs, self.golden.inputs),
            ("outputs", self.outputs, self.golden.outputs),
        ):
            require(specs, f"{kind}: expected at least one tensor")
            names = [spec.name for spec in specs]
            require(len(set(names)) == len(names), f"{kind}: expected distinct names, got {names}")
            require(
                set(names) == golden.keys(),
                f"golden.{kind}: expected {sorted(names)}, got {sorted(golden)}",
            )
        if self.quality is not None:
            expected, got = (spec.name for spec in self.outputs), self.quality
            require(
                set(expected) == got.keys() and all(got.values()),
                f"quality: expected what was measured of every output of the graph, got {[*got]}",
            )
        unknown = sorted(self.percentiles.keys() - {spec.name for spec in self.outputs})
        require(not unknown, f"percentiles: expected outputs of the graph, got {unknown}")
        for name, tensor in self.golden.outputs.items():
            require(
                tensor.shape, f"golden.outputs.{name}.shape: expected at least one size, got []"
            )
            rows = tensor.shape[0]
            given = tensor.tolerance or ()
            require(
                len(given) == rows and all(tolerance > 0 for tolerance in given),
                f"golden.outputs.{name}.tolerance: expected {rows} numbers above 0, one for each "
                f"row, got {len(given)}",
            )
        _require_rows(self)


def _require_rows(variant: Variant) -> None:
    """Check that all tensors, stored ones included, agree in their numbers of rows."""
    first = variant.outputs[0].shape[0]
    for spec in variant.outputs:
        require(
            spec.shape[0] == first,
            f"outputs: expected the same first size in all, got {first} and {spec.shape[0]}",
        )
    taken = [spec for spec in variant.inputs if has_rows(variant, spec)]
    require(taken, f"inputs: expected one with a first size of {first}, as the outputs have")
    rows = variant.golden.inputs[taken[0].name].shape[:1]
    for kind, specs, golden, with_rows in (
        ("inputs", variant.inputs, variant.golden.inputs, taken),
        ("outputs", variant.outputs, variant.golden.outputs, variant.outputs),
    ):
        for spec in specs:
            shape = (*rows, *spec.shape[1:]) if spec in with_rows else spec.shape
            _require_stored(golden[spec.name], shape, spec.dtype, f"golden.{kind}.{spec.name}")
    whole = not rows or rows[0] % (batch_of(variant) or 1) == 0
    require(whole, f"golden.inputs: expected batches of {first} rows, got {rows[0]} rows")


def _require_stored(
    tensor: GoldenTensor, shape: tuple[int | str, ...], dtype: str, field: str
) -> None:
    require(
        (tensor.dtype, tensor.shape) == (dtype, shape),
        f"{field}: expected {dtype} {list(shape)}, got {tensor.dtype} {list(tensor.shape)}",
    )
