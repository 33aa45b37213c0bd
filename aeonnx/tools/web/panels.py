"""Which panels the page shows: it follows from what the parts of its bundles take and give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aeonnx.bundle import Manifest, TensorSpec, Variant, manifest
from aeonnx.errors import BundleError
from aeonnx.io.pixels import has_pixels

__all__ = ["Panel", "choose"]

_LATENT = ("latent", "codes", "vector", "other")


@dataclass(frozen=True)
class Panel:
    """A panel of the page, and what it runs.

    Args:
        panel: its name: the id of its section in page/index.html.
        bundle: folder of the bundle in `bundles`.
        part: the part that it runs.
        variants: of the part, which the page checks and runs.
        samples: picture of sample images to start from, one below the other; None if there is none.
    """

    panel: str
    bundle: str
    part: str
    variants: tuple[str, ...]
    samples: str | None = None


@dataclass(frozen=True)
class _Rule:
    """What a panel needs.

    Args:
        panel: name of the panel.
        part: the part that it runs.
        variants: those that it runs if the bundle has them, the one that it prefers last.
        needs: the part in words.
        fits: whether a variant of the part is like that.
    """

    panel: str
    part: str
    variants: tuple[str, ...]
    needs: str
    fits: Callable[[Variant], bool]

    def variants_of(self, whole: Manifest) -> tuple[str, ...]:
        """The variants to run; none if the panel cannot show the bundle."""
        known = whole.parts.get(self.part, {})
        found = tuple(name for name in self.variants if name in known)
        return found if found and self.fits(known[found[-1]]) else ()


def choose(
    bundles: Mapping[str, Path], samples: str | None = None
) -> tuple[tuple[Panel, ...], tuple[Panel, ...]]:
    """The panels of the page: of several bundles with the same panel, the first has it.

    Args:
        bundles: folders of the bundles, by their names in the page.
        samples: picture of sample images for the panel that draws; None if there is none.

    Returns:
        The panels in the order of the page, and those that are left out for them.

    Raises:
        BundleError: a bundle is missing or damaged, no panel can show it, or its panels are all
            left out.
    """
    read = {name: manifest.read(folder) for name, folder in bundles.items()}
    possible = [
        Panel(rule.panel, name, rule.part, variants, samples if rule.fits is _draws else None)
        for rule in _RULES
        for name, whole in read.items()
        if (variants := rule.variants_of(whole))
    ]
    shown: dict[str, Panel] = {}
    for panel in possible:
        shown.setdefault(panel.panel, panel)
    left_out = tuple(panel for panel in possible if shown[panel.panel] is not panel)
    for name, whole in read.items():
        if not any(panel.bundle == name for panel in possible):
            raise BundleError(_no_panel(bundles[name], whole))
        if not any(panel.bundle == name for panel in shown.values()):
            taken = ", ".join(
                f"{panel.panel} shows {bundles[shown[panel.panel].bundle]}"
                for panel in left_out
                if panel.bundle == name
            )
            raise BundleError(
                f"{bundles[name]}: expected a panel that no bundle before it has, but {taken}: "
                "leave one of them out"
            )
    return tuple(shown.values()), left_out


def _no_panel(folder: Path, whole: Manifest) -> str:
    expected = "; ".join(rule.needs for rule in _RULES)
    ours = {rule.part for rule in _RULES}
    got = "; ".join(
        f"{part} of {_described(variants['fp32'])}" if part in ours else part
        for part, variants in whole.parts.items()
    )
    return (
        f"{folder}: expected a part that the page can show, with images in uint8, or in float32 "
        f"with a range: {expected}. Got {got}"
    )


def _described(variant: Variant) -> str:
    """What a part takes and gives, in words."""
    sides = (variant.inputs, variant.outputs)
    return " to ".join(", ".join(_tensor(spec) for spec in specs) for specs in sides)


def _tensor(spec: TensorSpec) -> str:
    shape = ", ".join(map(str, spec.shape))
    said = f"{spec.name} {spec.kind} {spec.dtype} [{shape}]"
    if spec.kind != "image" or spec.dtype == "uint8":
        return said
    return f"{said} in {list(spec.range)}" if spec.range else f"{said} without a range"


def _draws(denoiser: Variant) -> bool:
    x = denoiser.inputs[0]
    return _denoises(denoiser) and x.shape[1] == 1 and _is_sized(x)


def _any_size(denoiser: Variant) -> bool:
    x = denoiser.inputs[0]
    return _denoises(denoiser) and all(isinstance(size, str) for size in x.shape[2:])


def _denoises(variant: Variant) -> bool:
    """Whether it turns one picture into one like it."""
    (x, *others), y = variant.inputs, variant.outputs[0]
    alike = (x.kind, x.dtype, x.shape) == (y.kind, y.dtype, y.shape)
    return not others and alike and _is_picture(x) and _is_picture(y)


def _decodes(variant: Variant) -> bool:
    """Whether it turns a vector, and a label at most, into a picture of one size."""
    (z, *others), y = variant.inputs, variant.outputs[0]
    vector = z.kind in _LATENT and z.dtype == "float32" and len(z.shape) == 2 and _is_sized(z)
    labels = len(others) <= 1 and all(_is_number(spec, "label") for spec in others)
    return vector and labels and _is_picture(y) and _is_sized(y)


def _samples(variant: Variant) -> bool:
    """Whether it turns a seed and numbers of images into pixels.

    It may take a label too, and a canvas, with which the images can have any size.
    """
    kinds = [spec.kind for spec in variant.inputs]
    image = next((spec for spec in variant.outputs if spec.name == "image"), None)
    return (
        image is not None
        and _is_picture(image)
        and image.dtype == "uint8"
        and len(kinds) == len({*kinds})
        and {"index", "seed"} <= {*kinds} <= {"index", "seed", "canvas", "label"}
        and ("canvas" in kinds or _is_sized(image))
        and all(
            _is_canvas(spec, image) if spec.kind == "canvas" else _is_number(spec, spec.kind)
            for spec in variant.inputs
        )
    )


def _is_picture(spec: TensorSpec) -> bool:
    """Whether it holds grey or RGB images in pixels, or in floats that pixels can stand for."""
    pixels = spec.dtype == "uint8" or (spec.dtype == "float32" and has_pixels(spec.range))
    return spec.kind == "image" and spec.shape[1] in (1, 3) and pixels


def _is_number(spec: TensorSpec, kind: str) -> bool:
    """Whether it holds one whole number for each row."""
    return (spec.kind, spec.dtype, len(spec.shape)) == (kind, "int64", 1)


def _is_canvas(spec: TensorSpec, image: TensorSpec) -> bool:
    """Whether its size is that of the images."""
    rows, _, *size = image.shape
    return (spec.dtype, spec.shape) == ("uint8", (rows, *size))


def _is_sized(spec: TensorSpec) -> bool:
    return all(isinstance(size, int) for size in spec.shape[1:])


_PIXELS = ("fp32", "fp32-uint8")
_RULES = (
    _Rule("denoise", "denoiser", _PIXELS, "a denoiser of grey images of one size", _draws),
    _Rule("photo", "denoiser", _PIXELS, "a denoiser of grey or RGB images of any size", _any_size),
    _Rule(
        "latents",
        "decoder",
        ("fp32",),
        "a decoder of a vector [batch, n] to grey or RGB images of one size",
        _decodes,
    ),
    _Rule("generate", "sampler", ("fp32",), "a sampler of grey or RGB images", _samples),
)
"""The panels in the order of the page."""
