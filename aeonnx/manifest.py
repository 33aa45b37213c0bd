"""The bundle contract: frozen dataclasses <-> manifest.json. Standard library only.

The dataclasses are the format: `records` checks a document against their type hints and
`__post_init__` against the rules that types cannot say. `manifest.schema.json` states the same for
other languages. docs/bundle.md explains it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aeonnx import records
from aeonnx.errors import BundleError, ManifestError
from aeonnx.records import require

__all__ = [
    "BATCH",
    "FILE_NAME",
    "FORMAT",
    "FORMAT_VERSION",
    "Golden",
    "GoldenTensor",
    "Manifest",
    "OutputParity",
    "TensorSpec",
    "Training",
    "TrainingStage",
    "Variant",
    "file_names",
    "parse",
    "read",
    "serialize",
]

FILE_NAME = "manifest.json"
FORMAT = "aeonnx-bundle"
FORMAT_VERSION = 1
BATCH = "batch"
"""Name of the one dynamic axis."""

_DTYPES = ("float32", "float16", "uint8", "int64")
_PRECISIONS = ("fp32", "fp16", "int8")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class TensorSpec:
    """What a tensor of a part is.

    Args:
        name: the name in torch code, graph, manifest and clients, such as "x" or "z".
        shape: sizes, with "batch" for the dynamic axis, such as ("batch", 1, 28, 28).
        dtype: numpy's name of the element type.
        range: lowest and highest value, both included; None if unbounded.
        meaning: one phrase for people.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "float32"
    range: tuple[float, float] | None = None
    meaning: str = ""

    def __post_init__(self) -> None:
        require(_NAME.fullmatch(self.name), f"name: expected lower case, got {self.name!r}")
        require(self.dtype in _DTYPES, f"dtype: expected one of {_DTYPES}, got {self.dtype!r}")
        for size in self.shape:
            good = size == BATCH if isinstance(size, str) else size > 0
            require(good, f'shape: expected sizes above 0 or "{BATCH}", got {size!r}')


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
class GoldenTensor:
    """One stored array: raw little-endian, row-major.

    Args:
        file: path inside the bundle.
        sha256: digest of the file.
        dtype: numpy's name of the element type.
        shape: sizes, the batch included.
        tolerance: largest |difference| that still counts as equal; None for an input.
    """

    file: str
    sha256: str
    dtype: str
    shape: tuple[int, ...]
    tolerance: float | None = None

    def __post_init__(self) -> None:
        _require_file(self.file)
        _require_digest(self.sha256)
        _require_sizes(self.shape, "shape")
        require(self.dtype in _DTYPES, f"dtype: expected one of {_DTYPES}, got {self.dtype!r}")


@dataclass(frozen=True)
class Golden:
    """Stored inputs with the outputs that eager torch gave for them, by tensor name."""

    inputs: dict[str, GoldenTensor]
    outputs: dict[str, GoldenTensor]


@dataclass(frozen=True)
class Variant:
    """One graph file: one precision of one part.

    Args:
        file: path inside the bundle.
        sha256: digest of the file.
        bytes: size of the file.
        opset: version of the ONNX operator set.
        ir_version: version of the ONNX file format.
        min_onnxruntime: lowest release of onnxruntime that reads this opset and IR version.
        inputs: what the graph takes, in order.
        outputs: what the graph gives, in order; the first is the answer of the part's verb.
        parity: evidence per output name.
        parity_batches: the batch sizes at which the evidence was taken.
        golden: golden vectors.
    """

    file: str
    sha256: str
    bytes: int
    opset: int
    ir_version: int
    min_onnxruntime: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parity: dict[str, OutputParity]
    parity_batches: tuple[int, ...]
    golden: Golden

    def __post_init__(self) -> None:
        _require_file(self.file)
        _require_digest(self.sha256)
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
        for name, tensor in self.golden.outputs.items():
            require(
                tensor.tolerance is not None and tensor.tolerance > 0,
                f"golden.outputs.{name}.tolerance: expected a number above 0",
            )


@dataclass(frozen=True)
class TrainingStage:
    """One stretch of the training, with a loss of its own.

    Args:
        name: such as "pretrain 1" or "finetune".
        objective: what was minimised, in words.
        corruption: what the inputs suffered, such as "masking 0.25"; None for nothing.
        epochs: passes over the training images.
    """

    name: str
    objective: str
    corruption: str | None
    epochs: int


@dataclass(frozen=True)
class Training:
    """How the weights were learned.

    Args:
        data: name of the data set.
        data_fingerprint: SHA-256 over the images, train then test, with their shapes and labels.
        data_split: how training and test images were told apart.
        train_images: how many, those held out included.
        test_images: how many.
        seed: of the initial weights, the order of the images and the noise.
        epochs: passes over the training images in the last stage.
        batch_size: images per step.
        lr: highest learning rate.
        optimizer: what else the optimisation was given: schedule, precision, average and so on.
        options: what the recipe was given, such as the corruption.
        stages: in order.
        metrics: on the test images, by name.
    """

    data: str
    data_fingerprint: str
    data_split: str
    train_images: int
    test_images: int
    seed: int
    epochs: int
    batch_size: int
    lr: float
    optimizer: dict[str, str | float]
    options: dict[str, str | float]
    stages: tuple[TrainingStage, ...]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Manifest:
    """A bundle: the parts of one checkpoint.

    Args:
        model: name of the model.
        arch: name of its network.
        input_shape: [C, H, W] of an image.
        latent_size: length of `z`.
        latent_id: hash of the weights that all parts came from.
        prior: distribution to draw `z` from, "standard-normal"; None if the model has none.
        classes: names of the labels, in the order of `probabilities`; empty without a classifier.
        parts: graphs by part name and precision.
        training: how the weights were learned; None for weights from elsewhere.
        tools: version by name of what made the bundle.
    """

    model: str
    arch: str
    input_shape: tuple[int, ...]
    latent_size: int
    latent_id: str
    prior: str | None
    classes: tuple[str, ...]
    parts: dict[str, dict[str, Variant]]
    training: Training | None
    tools: dict[str, str]

    def __post_init__(self) -> None:
        _require_digest(self.latent_id, "latent_id")
        _require_sizes(self.input_shape, "input_shape")
        require(len(self.input_shape) == 3, "input_shape: expected [C, H, W]")
        _require_sizes((self.latent_size,), "latent_size")
        require(
            self.prior in (None, "standard-normal"),
            f'prior: expected null or "standard-normal", got {self.prior!r}',
        )
        require(all(self.classes), "classes: expected names, got an empty one")
        require(len(set(self.classes)) == len(self.classes), "classes: expected distinct names")
        for part, variants in self.parts.items():
            require(_NAME.fullmatch(part), f"parts: expected lower case, got {part!r}")
            require("fp32" in variants, f"parts.{part}: expected an fp32 graph")
            unknown = sorted(variants.keys() - set(_PRECISIONS))
            require(not unknown, f"parts.{part}: expected {_PRECISIONS}, got {unknown}")
        if "classifier" in self.parts:
            wide = self.parts["classifier"]["fp32"].outputs[-1].shape[-1:]
            require(
                wide == (len(self.classes),),
                f"classes: expected a name for each output of the classifier, {list(wide)}, "
                f"got {len(self.classes)}",
            )


def serialize(manifest: Manifest) -> bytes:
    """The text of manifest.json: the same manifest gives the same bytes."""
    return records.dump(manifest, FORMAT, FORMAT_VERSION)


def read(folder: Path) -> Manifest:
    """Read the manifest of a bundle.

    Raises:
        BundleError: there is no bundle at `folder`.
        ManifestError: it is damaged or of a newer format.
    """
    path = folder / FILE_NAME
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        what = "has no manifest.json" if folder.is_dir() else "is not a folder"
        raise BundleError(
            f"no bundle at {folder}: it {what}. "
            f"Make one with: aeonnx export --model vae -o {folder}"
        ) from None
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from error
    return parse(text, where=str(path))


def parse(text: bytes, where: str = FILE_NAME) -> Manifest:
    """Check the text of a manifest and make it a `Manifest`.

    Raises:
        ManifestError: names the field, what was expected and what came.
    """
    try:
        return records.load(Manifest, text, FORMAT, FORMAT_VERSION)
    except ValueError as error:
        raise ManifestError(f"{where}: {error}") from error


def file_names(manifest: Manifest) -> set[str]:
    """Every file that the manifest names, as a path inside the bundle."""
    variants = [item for part in manifest.parts.values() for item in part.values()]
    tensors = [
        tensor
        for variant in variants
        for kind in (variant.golden.inputs, variant.golden.outputs)
        for tensor in kind.values()
    ]
    return {variant.file for variant in variants} | {tensor.file for tensor in tensors}


def _require_digest(digest: str, field: str = "sha256") -> None:
    require(_DIGEST.fullmatch(digest), f"{field}: expected 64 hex digits, got {digest!r}")


def _require_sizes(sizes: tuple[int, ...], field: str) -> None:
    require(all(size > 0 for size in sizes), f"{field}: expected sizes above 0, got {sizes}")


def _require_file(file: str) -> None:
    path = PurePosixPath(file)
    inside = bool(file) and not path.is_absolute() and ".." not in path.parts and "\\" not in file
    require(inside, f"file: expected a path inside the bundle, got {file!r}")
