"""The models that a server has: the variants of the parts of bundles, by name and version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from aeonnx.bundle import BATCH, TensorSpec, Variant, has_rows
from aeonnx.bundle.versions import (
    model_name,
    require_precision,
    require_served,
    version_of,
)
from aeonnx.runtime import Bundle
from aeonnx.runtime.interface import tile_rows
from aeonnx.runtime.runner import PartRunner

__all__ = ["Model", "models_of"]


@dataclass(frozen=True, eq=False)
class Model:
    """One variant of a part.

    Args:
        name: of the model: that of the bundle's folder, a dot, and the part.
        version: number of bits of the weights, as text.
        part: name of the part.
        variant: name of the variant.
        bundle: that it belongs to.
    """

    name: str
    version: str
    part: str
    variant: str
    bundle: Bundle

    @property
    def entry(self) -> Variant:
        """Its entry in the manifest."""
        return self.bundle.variant(self.part, self.variant)

    @cached_property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs, with any number of rows."""
        return self.bundle.inputs(self.part, self.variant)

    @cached_property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs, with any number of rows."""
        return self.bundle.outputs(self.part, self.variant)

    @cached_property
    def batched(self) -> frozenset[str]:
        """The names of the tensors whose first axis is that of rows."""
        entry = self.entry
        rows = {spec.name for spec in entry.inputs if has_rows(entry, spec)}
        return frozenset(rows | {spec.name for spec in entry.outputs})

    def runner(self) -> PartRunner:
        """What runs it, on any number of rows.

        Raises:
            BundleError, OldRuntimeError, GraphError, ProviderError: see `Bundle.run`.
        """
        return self.bundle.runner(self.part, self.variant)

    def warm_up(self, batches: Sequence[int]) -> None:
        """Run its golden inputs in batches, the largest first, so that memory is allocated once."""
        inputs, run = self._golden_inputs(), self.runner()
        for rows in sorted(batches, reverse=True):
            run(tile_rows(self.entry, inputs, rows))

    def trial(self) -> Callable[[], object]:
        """What runs a row of its golden inputs at each call."""
        return partial(self.runner(), tile_rows(self.entry, self._golden_inputs(), 1))

    def _golden_inputs(self) -> dict[str, Any]:
        return self.bundle.golden_inputs(self.part, self.variant)

    def rows(self, inputs: Mapping[str, Any]) -> int:
        """Number of rows of checked inputs."""
        return next(len(inputs[spec.name]) for spec in self.inputs if spec.shape[0] == BATCH)


def models_of(bundles: Sequence[Bundle]) -> dict[str, dict[str, Model]]:
    """The models of bundles: by name and version, the highest version first.

    Raises:
        UsageError: two bundles have one name, or a name cannot be part of a URL.
        BundleError: no part of a bundle is there in the precision that it was opened with.
    """
    require_served(bundle.folder for bundle in bundles)
    for bundle in bundles:
        require_precision(bundle.folder, bundle.manifest, bundle.precision)
    found: dict[str, dict[str, Model]] = {}
    for bundle in bundles:
        folder = bundle.folder.name
        models = [
            Model(model_name(folder, part, variant), version_of(variant), part, variant, bundle)
            for part, variants in sorted(bundle.manifest.parts.items())
            for variant in variants
        ]
        for model in sorted(models, key=lambda each: -int(each.version)):
            found.setdefault(model.name, {})[model.version] = model
    return dict(sorted(found.items()))
