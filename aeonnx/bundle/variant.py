"""One graph file of a bundle, with the evidence for it."""

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
    """The evidence for one output on one kind of inputs: graph against eager torch.

    Args:
        inputs: the kind: "real" ones, "random" ones, "edge" values, "activation" for those that
            activate units, "ill-conditioned" for those at which float32 itself tells too little.
        rows: how many.
        batch: at which the largest difference was seen, of all that were tried.
        max_abs_diff: largest |graph - torch float32|.
        max_rel_diff: largest |graph - torch float32| / |torch float32|, where torch is not tiny.
        error: largest |graph - torch float64|.
        noise_floor: largest |float32 - float64| of torch, or of simulated rounding.
        tolerance: what `max_abs_diff` and `error` had to stay within.
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
    """Units behind activation functions, and how many of these no input activated."""

    units: int
    inactive: int


@dataclass(frozen=True)
class Quality:
    """What one output of a variant costs, measured on the same images as the fp32 graph's.

    Args:
        metric: "snr", the variance of fp32's output over the mean squared difference from it, in dB
            (at most 200); "psnr", of the images that the output is or leads to, against the test
            images, in dB; or "agreement", the share of labels or whole numbers that stay.
        value: of the variant.
        least: the lowest `value` that passes.
        images: how many.
        fp32: PSNR of the fp32 graph; None for the other two, which compare with it.
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
        """Whether the limit is kept; NaN does not."""
        return self.value >= self.least

    @property
    def drop(self) -> float | None:
        """What the variant loses of the fp32 graph's PSNR; None for another metric."""
        return None if self.fp32 is None else self.fp32 - self.value


@dataclass(frozen=True)
class Variant:
    """One graph file: a part in one precision, with float or uint8 images.

    Args:
        file: path inside the bundle.
        sha256: digest of the file.
        bytes: size of the file.
        macs: what one row takes in the operators with products, counted in the fp32 graph;
            None where that depends on values.
        opset: version of the ONNX operator set.
        ir_version: version of the ONNX file format.
        min_onnxruntime: lowest release of onnxruntime that reads this opset and IR version.
        inputs: what the graph takes, in order.
        outputs: what the graph gives, in order; the first is the answer of the part's verb.
        parity: evidence per output name, for each kind of inputs.
        parity_batches: the batch sizes at which the evidence was taken.
        activations: what the inputs activated; None where that was not counted.
        golden: golden vectors.
        quality: of each output against the fp32 graph's; None where the graph is that or exactly as
            good.
        percentiles: of outputs over training images, by output and percentile such as "p99".
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
    """Refuse tensors whose rows do not belong together, stored ones included."""
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
