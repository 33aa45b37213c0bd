"""One graph file of a bundle, with the evidence for it."""

from __future__ import annotations

from dataclasses import dataclass

from aeonnx.manifest._tensors import Golden, TensorSpec, require_digest, require_file
from aeonnx.records import require

__all__ = ["OutputParity", "Quality", "Variant"]


@dataclass(frozen=True)
class OutputParity:
    """The evidence for one output: graph against eager torch, over all batches tried.

    Args:
        max_abs_diff: largest |graph - torch float32|.
        max_rel_diff: largest |graph - torch float32| / |torch float32|, where torch is not tiny.
        error: largest |graph - torch float64|.
        noise_floor: largest |float32 - float64| of torch, or of simulated running sums.
        tolerance: what `max_abs_diff` and `error` had to stay within.
    """

    max_abs_diff: float
    max_rel_diff: float
    error: float
    noise_floor: float
    tolerance: float


@dataclass(frozen=True)
class Quality:
    """What a variant costs: measured through it and through the fp32 graph on the same images.

    Args:
        metric: "psnr", of the reconstructed test images in dB; or "agreement", the share of images
            that get the label which fp32 gives.
        fp32: of the fp32 graph.
        value: of the variant.
        largest_drop: what `fp32 - value` had to stay within.
        images: how many.
    """

    metric: str
    fp32: float
    value: float
    largest_drop: float
    images: int

    @property
    def drop(self) -> float:
        """What the variant loses."""
        return self.fp32 - self.value


@dataclass(frozen=True)
class Variant:
    """One graph file: a part in one precision, with float or uint8 images.

    Args:
        file: path inside the bundle.
        sha256: digest of the file.
        bytes: size of the file.
        multiply_adds: what one row takes in the operators with products, counted in the fp32 graph;
            None where that depends on values.
        opset: version of the ONNX operator set.
        ir_version: version of the ONNX file format.
        min_onnxruntime: lowest release of onnxruntime that reads this opset and IR version.
        inputs: what the graph takes, in order.
        outputs: what the graph gives, in order; the first is the answer of the part's verb.
        parity: evidence per output name.
        parity_batches: the batch sizes at which the evidence was taken.
        golden: golden vectors.
        quality: against the fp32 graph; None where the graph is that or exactly as good.
        percentiles: of outputs over training images, by output and percentile such as "p99".
    """

    file: str
    sha256: str
    bytes: int
    multiply_adds: int | None
    opset: int
    ir_version: int
    min_onnxruntime: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parity: dict[str, OutputParity]
    parity_batches: tuple[int, ...]
    golden: Golden
    quality: Quality | None
    percentiles: dict[str, dict[str, float]]

    def __post_init__(self) -> None:
        require_file(self.file)
        require_digest(self.sha256)
        for kind, specs, golden in (
            ("inputs", self.inputs, self.golden.inputs),
            ("outputs", self.outputs, self.golden.outputs),
        ):
            require(specs, f"{kind}: expected at least one tensor")
            names = {spec.name for spec in specs}
            require(
                names == golden.keys(),
                f"golden.{kind}: expected {sorted(names)}, got {sorted(golden)}",
            )
        names = {spec.name for spec in self.outputs}
        unknown = sorted(self.percentiles.keys() - names)
        require(not unknown, f"percentiles: expected outputs of the graph, got {unknown}")
        for name, tensor in self.golden.outputs.items():
            require(
                tensor.tolerance is not None and tensor.tolerance > 0,
                f"golden.outputs.{name}.tolerance: expected a number above 0",
            )
