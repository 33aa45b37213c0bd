"""The models that a server gets of a bundle: variants of parts, by name and version."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aeonnx.bundle import Manifest, Variant, batch_of, has_rows
from aeonnx.bundle.versions import fits_urls, model_name, version_of
from aeonnx.errors import BundleError, UnknownNameError, UsageError

__all__ = ["Graph", "Model", "bundle_name", "models_of"]


@dataclass(frozen=True)
class Graph:
    """One version of a model.

    Args:
        version: number of bits of the weights.
        variant: name of the variant.
        entry: its entry in the manifest.
    """

    version: int
    variant: str
    entry: Variant


@dataclass(frozen=True)
class Model:
    """Variants of a part with the same inputs and outputs.

    Args:
        name: such as "vae.decoder".
        part: name of the part.
        graphs: the highest version first; at least one.
    """

    name: str
    part: str
    graphs: tuple[Graph, ...]

    @property
    def interface(self) -> Variant:
        """The entry whose inputs and outputs all versions have."""
        return self.graphs[0].entry

    @property
    def batches(self) -> bool:
        """Whether the first axis of every tensor is that of rows, of any number."""
        entry = self.interface
        return batch_of(entry) is None and all(has_rows(entry, spec) for spec in entry.inputs)

    @property
    def measured_batch(self) -> int:
        """The largest batch at which all versions were compared with torch."""
        return min(max(graph.entry.parity_batches, default=1) for graph in self.graphs)


def bundle_name(folder: Path, asked: str | None) -> str:
    """What the names of a bundle's models begin with: that of its folder, unless another is asked.

    Raises:
        UsageError: it cannot be part of a URL and of a file's name.
    """
    name = Path(os.path.abspath(folder)).name if asked is None else asked
    if not fits_urls(name):
        raise UsageError(
            f"--name: expected letters, digits, _, - and . alone, since it becomes part of URLs "
            f"and of folders' names, got {name!r}"
            + (f", the name of the folder {folder}: give another name" if asked is None else "")
        )
    return name


def models_of(
    contents: Manifest, bundle: str, parts: Sequence[str] = (), variants: Sequence[str] = ()
) -> tuple[Model, ...]:
    """The models of a bundle, by name.

    Args:
        contents: the bundle's manifest.
        bundle: what the names begin with.
        parts: names of the parts to serve; empty for all.
        variants: names of the variants to serve; empty for all.

    Raises:
        UnknownNameError: there is no such part or variant.
        BundleError: variants that would be versions of one model differ in inputs or outputs.
    """
    _require_known(contents, parts, variants)
    found: dict[str, tuple[str, list[Graph]]] = {}
    for part, entries in contents.parts.items():
        if parts and part not in parts:
            continue
        for variant, entry in entries.items():
            if not variants or variant in variants:
                _, graphs = found.setdefault(model_name(bundle, part, variant), (part, []))
                graphs.append(Graph(int(version_of(variant)), variant, entry))
    models = (
        Model(name, part, tuple(sorted(graphs, key=lambda graph: -graph.version)))
        for name, (part, graphs) in sorted(found.items())
    )
    return tuple(_alike(model) for model in models)


def _require_known(contents: Manifest, parts: Sequence[str], variants: Sequence[str]) -> None:
    for part in parts:
        if part not in contents.parts:
            raise UnknownNameError("part", part, contents.parts)
        for variant in variants:
            if variant not in contents.parts[part]:
                raise UnknownNameError(f"variant of {part}", variant, contents.parts[part])
    known = {name for entries in contents.parts.values() for name in entries}
    for variant in variants:
        if variant not in known:
            raise UnknownNameError("variant", variant, known)


def _alike(model: Model) -> Model:
    """The model, whose versions share one description."""
    first, *others = ((graph.variant, _interface(graph.entry)) for graph in model.graphs)
    for variant, interface in others:
        if interface != first[1]:
            raise BundleError(
                f"{model.part}: expected the same inputs and outputs in all variants, but those of "
                f"{variant} differ from those of {first[0]}: export the part again, or choose one "
                "with --variant"
            )
    return model


def _interface(entry: Variant) -> list[list[tuple[object, ...]]]:
    return [
        [(spec.name, spec.dtype, spec.shape) for spec in specs]
        for specs in (entry.inputs, entry.outputs)
    ]
