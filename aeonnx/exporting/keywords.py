"""`aeonnx.export`: exporting with keyword arguments, as from a script or a notebook.

Imports torch only when the arguments have been checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aeonnx import catalog
from aeonnx._util.arguments import (
    StrPath,
    flag_of,
    keywords_of,
    name_of,
    names_of,
    number_of,
    path_of,
)
from aeonnx.errors import UnknownNameError, UsageError
from aeonnx.exporting.options import ExportOptions, check

if TYPE_CHECKING:
    from torch import nn

    from aeonnx.exporting.pipeline import Exported, Listener

__all__ = ["export"]


def export(
    model: str,
    output: StrPath | None = None,
    *,
    checkpoint: StrPath | None = None,
    parts: str | Iterable[str] = (),
    opset: int | None = None,
    force: bool = False,
    precisions: str | Iterable[str] = (),
    io: str | Iterable[str] = (),
    calibration: StrPath | None = None,
    prior: str | None = None,
    temperature: float = 1.0,
    static_batch: int | None = None,
    target: str | None = None,
    from_source: str | None = None,
    weights: StrPath | None = None,
    latents: str | None = None,
    state: str | None = None,
    score: str | None = None,
    ensemble: int | None = None,
    example: Any = None,
    range: tuple[float, float] | None = None,  # noqa: A002  # the manifest's name
    listener: Listener | None = None,
    **modules: nn.Module,
) -> Exported:
    """Export parts of a checkpoint, or modules, into a bundle of verified ONNX graphs.

        aeonnx.export("vae", "dist/vae", checkpoint="runs/vae", precisions=["int8"])
        aeonnx.export("photos", encoder=encoder, decoder=decoder, example=x, range=(0, 1))

    It writes the whole bundle, or nothing. The options are those of the command `aeonnx export`. If
    `output` holds a bundle of the same checkpoint, the parts are added to it.

    Args:
        model: registered name of the model; with `from_source` or modules any name.
        output: the bundle's folder; None for `dist/<model>`.
        checkpoint: folder that `aeonnx.train` wrote, or a file with a state_dict; None for
            `runs/<model>`.
        parts: a name or names of the parts to export; empty for all parts of the model.
        opset: 13 to 22; None for the target's opset, or 18 without a target.
        force: replace a bundle of another checkpoint.
        precisions: any of "fp32", "fp16" and "int8"; fp32 is always written.
        io: any of "float" and "uint8"; graphs with float images are always written.
        calibration: images for int8 calibration, the fitted prior and the scorer's percentiles: a
            file, a folder or a .npy; None for the training images in the checkpoint, and for the
            percentiles the test images that training left aside.
        prior: "standard", "fitted", "fitted-diagonal" or "mixture", for any decoder of floats;
            None for the prior that the model was trained with.
        temperature: factor on the prior's standard deviation, above 0.
        static_batch: fixed batch size of the graphs, 1 or more; None for a dynamic batch.
        target: engine to choose opset, batch and operators for: "onnxruntime", "onnxruntime-web",
            "jetson-jp5", "tensorrt-8", "openvino" or "opencv".
        from_source: "module:package.module:factory" of a model of your own, or another source, see
            docs/sources.md.
        weights: a file to load into the module of `from_source`.
        latents: "scaled" for the latents that a diffusion model works on, built into the graphs;
            "plain" or None for the autoencoder's own.
        score: what the scorer tells how odd an input is by: "error", the mean squared error of the
            reconstruction; "mahalanobis", the distance of the latent from those of the training;
            "combined", the mean of both, each in units of its mean in training; "dssim", the
            structural dissimilarity (1 - SSIM) / 2 of the reconstruction; or, for "vae", "nll",
            -log p(x) from 16 importance samples at fixed noise. None for "combined" of rows of a
            table, and "error" of everything else.
        ensemble: 4 to make the denoiser the mean of its results for 4 orientations of each image,
            which are its flips, or 8 for flips of the turned image too: better images in 4 or 8
            times the time. None for the image as it is.
        state: "best" or "last", to load these weights from the run's newest saved state; None for
            its checkpoint.
        example: an array or tensor that the first of `modules` takes, of one row or more, or a
            tuple of them for several inputs. Names, shapes and dynamic axes are found by running
            the modules on it and on other sizes of it.
        range: lowest and highest value of the first input and of what is decoded, for `modules`;
            None for any.
        listener: is called before each graph is built; None for no notifications.
        modules: `torch.nn.Module`s by the name of the part, such as `encoder` and `decoder`, or
            `denoiser` alone, in place of a checkpoint. They are copied, not changed.

    Returns:
        The folder, the manifest, the names of the exported parts, and the report of all checks.

    Raises:
        UnknownNameError: there is no such option, model, part or other name; suggests the nearest.
        UsageError: a number is out of range, or options contradict each other.
        CheckpointError: the checkpoint is missing, damaged, or of another model.
        ModuleError: the code of an external model raises an error.
        ImageError: the calibration images are missing or have the wrong size.
        BundleError: `output` holds a bundle of another checkpoint and `force` is not set.
        GraphError: a part cannot be exported to a graph that follows the bundle's rules.
        ParityError: a graph and torch differ, or a graph fails while it runs; the message lists
            every failed check.
        QualityError: a reduced-precision variant loses too much accuracy, or is neither smaller nor
            faster than fp32.
        OutputError: the bundle cannot be written.
        SetupError: an optional package is missing.
    """
    for name, module in modules.items():
        if not callable(getattr(module, "forward", None)):
            if any(name in known.parts for known in catalog.models().values()):
                raise UsageError(
                    f"{name}: expected a torch.nn.Module, got {module!r}: leave it out"
                )
            raise UnknownNameError("option of aeonnx.export", name, keywords_of(export))
    named = name_of("model", model)
    if named is None:
        raise UsageError("model: expected a name such as 'vae', got None")
    options = ExportOptions(
        model=named,
        output=path_of("output", output),
        checkpoint=path_of("checkpoint", checkpoint),
        parts=names_of("parts", parts),
        opset=number_of("opset", opset),
        force=flag_of("force", force),
        precisions=names_of("precisions", precisions),
        io=names_of("io", io),
        calibration=path_of("calibration", calibration),
        prior=name_of("prior", prior),
        temperature=number_of("temperature", temperature),
        static_batch=number_of("static_batch", static_batch),
        target=name_of("target", target),
        from_source=name_of("from_source", from_source),
        weights=path_of("weights", weights),
        latents=name_of("latents", latents),
        state=name_of("state", state),
        score=name_of("score", score),
        ensemble=number_of("ensemble", ensemble),
        modules=modules or None,
        example=example,
        range=range,
    )
    check(options)  # before torch is imported, which takes seconds

    from aeonnx.exporting import export as export_model

    return export_model(options, listener)
