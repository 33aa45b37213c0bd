"""Measures of how odd an input is, beside the error of its reconstruction.

The scorer gets one more output, before `error`, and `aeonnx score` goes by the first output of the
kind score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # the name that all torch code uses
from torch import Tensor, nn

from aeonnx.bundle import BATCH, TensorSpec
from aeonnx.errors import UsageError
from aeonnx.exporting.options import MEASURES
from aeonnx.models import Decoder, Part, primary_output
from aeonnx.runtime.session import Array

__all__ = ["measure_of", "with_score"]

Train = Callable[[], Mapping[str, Array]]
"""Returns training inputs, see `with_score`."""

_SCORER = "scorer"
_AT_ONCE = 256  # training inputs
_ALIKE = 1e-10  # variance over mean square, below which latents are the same
_LEAST = 1e-3  # share of the mean variance that each direction of the latent has at least
_DRAWS = 16  # of the importance-sampled likelihood
_WINDOW, _SIGMA = 11, 1.5  # of the structural similarity
_C1, _C2 = 0.01**2, 0.03**2


def with_score(parts: Mapping[str, Part], measure: str | None, train: Train) -> dict[str, Part]:
    """The parts, with a scorer that returns another measure too.

    Args:
        parts: of a model.
        measure: one of `MEASURES`; None for the default: "combined" of rows of a table, which finds
            more in benchmarks/odd.py, and "error" of everything else.
        train: called only for a measure that needs them, returns training inputs of the parts and
            their latents, [rows, ...] by tensor name.

    Raises:
        UsageError: the model does not have what the measure needs.
    """
    if _SCORER not in parts:
        return dict(parts)
    train = cache(train)
    measure = measure or _default(parts, train)
    if measure == "error":
        return dict(parts)
    part = parts[_SCORER]
    module, description, limits = _MAKERS[measure](parts, train)
    spec = TensorSpec(measure, (BATCH,), range=limits, description=description, kind="score")
    first, *others = part.outputs
    scorer = replace(
        part,
        module=_WithScore(part.module, module),
        outputs=(first, spec, *others),
        percentiles=(measure, *part.percentiles),
    )
    return {**parts, _SCORER: scorer}


def _default(parts: Mapping[str, Part], train: Train) -> str:
    first = parts[_SCORER].inputs[0]
    if not first.names or first.kind != "vector":
        return "error"
    z = _latents(parts, train)
    return "combined" if z is not None and _varies(z) else "error"


def _latents(parts: Mapping[str, Part], train: Train) -> Array | None:
    """Latents of training inputs, [n, d]; None if the model or the checkpoint has none."""
    if not {"encoder", "decoder"} <= parts.keys():
        return None
    z = train().get(parts["decoder"].inputs[0].name)
    return z if z is not None and z.ndim == 2 else None


def _varies(z: Array) -> bool:
    """Whether latents differ by more than rounding: else distances between them say nothing."""
    exact = z.astype(np.float64)
    return bool(exact.var(0).mean() > _ALIKE * np.square(exact).mean())


def measure_of(outputs: tuple[TensorSpec, ...]) -> str:
    """The measure that a scorer with these outputs was exported with."""
    return next((spec.name for spec in outputs if spec.name in MEASURES), "error")


class _WithScore(nn.Module):
    """A scorer whose second output is a measure of the input and what the scorer returns."""

    def __init__(self, scorer: nn.Module, measure: nn.Module) -> None:
        super().__init__()
        self.scorer, self.measure = scorer, measure

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, ...]:
        labels = () if label is None else (label,)
        reconstruction, *others = self.scorer(x, *labels)
        score = self.measure(x, reconstruction, others, *labels)
        return reconstruction, score, *others


class _Mahalanobis(nn.Module):
    """Squared Mahalanobis distance of the latent from those of the training, over its length.

    Args:
        encoder: x -> z [N, d], or a tuple that begins with it.
        mean: [d].
        whiten: [d, d].
        error: x, what the scorer returns after the reconstruction -> error in units of the usual
            one [N]; the score is then the mean of it and of the distance. None for the distance
            alone.
    """

    mean: Tensor
    whiten: Tensor

    def __init__(
        self, encoder: nn.Module, mean: Array, whiten: Array, error: nn.Module | None
    ) -> None:
        super().__init__()
        self.encoder, self.error = encoder, error
        self.register_buffer("mean", torch.from_numpy(mean.astype(np.float32)))
        self.register_buffer("whiten", torch.from_numpy(whiten.astype(np.float32)))

    def forward(self, x: Tensor, _: Tensor, others: Sequence[Tensor], *labels: Tensor) -> Tensor:
        z = primary_output(self.encoder(x, *labels))
        distance = ((z - self.mean) @ self.whiten).square().mean(1)
        return distance if self.error is None else 0.5 * (distance + self.error(x, others))


class _RelativeError(nn.Module):
    """x, (error, ...) -> error over the mean error of training inputs."""

    def __init__(self, usual: float) -> None:
        super().__init__()
        self.usual = usual

    def forward(self, _: Tensor, others: Sequence[Tensor]) -> Tensor:
        return others[0] / self.usual


class _RelativeColumns(nn.Module):
    """x, (error, map) -> mean over the values there of each one's error over its column's usual.

    A small error of a column that is easy to predict then counts as much as a large one of a column
    that is not.

    Args:
        usual: mean error of each column in training rows, [D].
        missing: whether values may be missing.
    """

    usual: Tensor

    def __init__(self, usual: Tensor, *, missing: bool) -> None:
        super().__init__()
        self.missing = missing
        self.register_buffer("usual", usual)

    def forward(self, x: Tensor, others: Sequence[Tensor]) -> Tensor:
        errors = others[1] / self.usual.view(-1, *(1,) * (x.ndim - 2))
        if not self.missing:
            return errors.flatten(1).mean(1)
        there = (~torch.isnan(x)).to(errors.dtype).flatten(1).sum(1)
        return errors.flatten(1).sum(1) / there.clamp(min=1)


def _mahalanobis(
    parts: Mapping[str, Part], train: Train, *, combined: bool = False
) -> tuple[nn.Module, str, None]:
    name = "combined" if combined else "mahalanobis"
    z = _latents(parts, train)
    if z is None:
        raise UsageError(
            f"--score {name}: expected an encoder to vectors, and training images that the "
            "checkpoint carries: leave it out"
        )
    if not _varies(z):
        raise UsageError(
            f"--score {name}: the latents of all training inputs are the same, so that a distance "
            "from them says nothing: train longer, or give --score error"
        )
    exact = z.astype(np.float64)
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(exact.T, bias=True)))
    variances = np.maximum(variances, _LEAST * variances.mean())
    error = _relative_error(parts[_SCORER], train()) if combined else None
    module = _Mahalanobis(parts["encoder"].module, exact.mean(0), axes / np.sqrt(variances), error)
    what = "squared Mahalanobis distance of the latent from training latents, over its length"
    if combined:
        what = f"mean of the {what}, and of the error over that of training inputs"
    return module, what, None


def _relative_error(part: Part, train: Mapping[str, Array]) -> nn.Module:
    """The error of a scorer in units of that of training inputs."""
    first = part.inputs[0]
    given = [torch.from_numpy(train[spec.name]) for spec in part.inputs]
    with torch.no_grad():
        batches = zip(*(torch.split(value, _AT_ONCE) for value in given), strict=True)
        found = [part.module(*batch) for batch in batches]
    errors = torch.cat([outputs[1] for outputs in found]).double()
    if not first.names:
        return _RelativeError(float(errors.mean()) or 1.0)
    places = torch.cat([outputs[2] for outputs in found]).double()
    there = ~torch.isnan(given[0])
    by_column = [axis for axis in range(places.ndim) if axis != 1]
    usual = places.sum(by_column) / there.sum(by_column).clamp(min=1)
    least = _LEAST * float(usual.mean()) or 1.0
    return _RelativeColumns(usual.clamp(min=least).float(), missing=first.missing)


class _Dissimilarity(nn.Module):
    """(1 - SSIM) / 2 of an image and its reconstruction, mean over places and channels.

    Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity",
    equation 13, with a Gaussian window of 11 places and reflection at the borders.

    Args:
        channels: of an image.
        limits: range of the images.
    """

    kernel: Tensor

    def __init__(self, channels: int, limits: tuple[float, float]) -> None:
        super().__init__()
        self.channels, self.low, self.width = channels, limits[0], limits[1] - limits[0]
        line = torch.exp(-0.5 * ((torch.arange(_WINDOW) - _WINDOW // 2) / _SIGMA) ** 2)
        kernel = torch.outer(line, line) / line.sum() ** 2
        self.register_buffer("kernel", kernel.expand(channels, 1, -1, -1).contiguous())

    def forward(
        self, x: Tensor, reconstruction: Tensor, _: Sequence[Tensor], *__: Tensor
    ) -> Tensor:
        a, b = ((image - self.low) / self.width for image in (x, reconstruction))
        mean_a, mean_b = self._blurred(a), self._blurred(b)
        squares = mean_a.square() + mean_b.square()
        product = mean_a * mean_b
        variances = self._blurred(a.square() + b.square()) - squares
        covariance = self._blurred(a * b) - product
        similar = (2 * product + _C1) * (2 * covariance + _C2)
        similar = similar / ((squares + _C1) * (variances + _C2))
        return 0.5 - 0.5 * similar.flatten(1).mean(1)

    def _blurred(self, image: Tensor) -> Tensor:
        padded = F.pad(image, (_WINDOW // 2,) * 4, mode="reflect")
        return F.conv2d(padded, self.kernel, groups=self.channels)


def _dssim(parts: Mapping[str, Part], _: Train) -> tuple[nn.Module, str, tuple[float, float]]:
    x, outputs = parts[_SCORER].inputs[0], parts[_SCORER].outputs
    if len(outputs) == 1 or outputs[0].shape != x.shape:
        raise UsageError(
            "--score dssim: expected a scorer that returns the reconstruction first, of the shape "
            f"of {x.name}, and its error, got {', '.join(spec.name for spec in outputs)}: leave it "
            "out"
        )
    sizes = [size for size in x.shape[2:] if isinstance(size, int)]
    if x.kind != "image" or x.range is None or len(sizes) != 2 or min(sizes) <= _WINDOW // 2:
        raise UsageError(
            f"--score dssim: expected images with a range of at least {_WINDOW // 2 + 1} pixels "
            f"per side, got {x.kind} {list(x.shape)}: leave it out"
        )
    module = _Dissimilarity(int(x.shape[1]), x.range)
    return module, "structural dissimilarity of the reconstruction, (1 - SSIM) / 2", (0.0, 1.0)


class _NegativeLogLikelihood(nn.Module):
    """-log p(x) in nats, estimated with importance samples at fixed noise.

    Burda et al. 2016, "Importance weighted autoencoders", equation 8: an upper bound in the mean.

    Args:
        encoder: x -> mu, logvar.
        decoder: whose `logits` are those of Bernoulli pixels.
        size: length of the latent.
    """

    eps: Tensor

    def __init__(self, encoder: nn.Module, decoder: nn.Module, size: int) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        eps = np.random.default_rng(0).standard_normal((_DRAWS, size)).astype(np.float32)
        self.register_buffer("eps", torch.from_numpy(eps))

    def forward(self, x: Tensor, _: Tensor, __: Sequence[Tensor], *labels: Tensor) -> Tensor:
        mu, logvar = self.encoder(x, *labels)
        weights = []
        for eps in self.eps.unbind():
            z = mu + torch.exp(0.5 * logvar) * eps
            logits = cast(Decoder, self.decoder).logits(z, *labels)
            # Not binary_cross_entropy_with_logits: it is exported as log(sigmoid(...)), which is
            # minus infinity for sure pixels.
            pixels = F.softplus(logits) - x * logits
            prior = 0.5 * z.square().sum(1)
            posterior = 0.5 * (eps.square() + logvar).sum(1)
            weights.append(posterior - prior - pixels.flatten(1).sum(1))
        return math.log(_DRAWS) - torch.logsumexp(torch.stack(weights, 1), 1)


def _nll(parts: Mapping[str, Part], _: Train) -> tuple[nn.Module, str, None]:
    encoder, decoder = parts.get("encoder"), parts.get("decoder")
    names = [] if encoder is None else [spec.name for spec in encoder.outputs]
    if encoder is None or decoder is None or names != ["mu", "logvar"]:
        raise UsageError(
            "--score nll: expected a variational autoencoder, whose encoder gives mu and logvar: "
            "leave it out"
        )
    if not isinstance(decoder.module, Decoder) or parts[_SCORER].inputs[0].range != (0.0, 1.0):
        raise UsageError("--score nll: expected a decoder of Bernoulli pixels, as that of vae")
    size = int(decoder.inputs[0].shape[1])
    module = _NegativeLogLikelihood(encoder.module, decoder.module, size)
    return module, f"-log p(x) in nats, from {_DRAWS} importance samples at fixed noise", None


_Made = tuple[nn.Module, str, tuple[float, float] | None]
_MAKERS: dict[str, Callable[[Mapping[str, Part], Train], _Made]] = {
    "mahalanobis": _mahalanobis,
    "combined": lambda parts, train: _mahalanobis(parts, train, combined=True),
    "dssim": _dssim,
    "nll": _nll,
}
