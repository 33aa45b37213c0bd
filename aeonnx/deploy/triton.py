"""Writes a model repository of Triton: a folder per model, with its graphs and a config.pbtxt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aeonnx._util import files
from aeonnx.bundle import manifest
from aeonnx.bundle.graph_bytes import check_graph
from aeonnx.deploy.ensembles import Ensemble, ensembles_of
from aeonnx.deploy.models import Graph, Model, bundle_name, models_of
from aeonnx.deploy.options import TritonOptions
from aeonnx.deploy.releases import lowest_release
from aeonnx.deploy.text_format import Message, text_of
from aeonnx.deploy.triton_config import GRAPH_FILE, config_of, ensemble_config

__all__ = ["Repository", "write_repository"]

_CONFIG = "config.pbtxt"
_PLACEHOLDER = "empty"
_PATIENCE = 600.0  # seconds to wait for another writer


@dataclass(frozen=True)
class Repository:
    """A model repository that was written.

    Args:
        output: its folder.
        models: of the bundle's parts.
        ensembles: of encoder and decoder.
        configs: by name of a model.
        triton: the lowest release that runs all of them.
        left_out: what was not written, and why.
        others: models of the same bundle that were there before, and are left as they were.
    """

    output: Path
    models: tuple[Model, ...]
    ensembles: tuple[Ensemble, ...]
    configs: dict[str, Message]
    triton: str
    left_out: tuple[str, ...]
    others: tuple[str, ...]


def write_repository(options: TritonOptions) -> Repository:
    """Write a bundle's models into a model repository, or replace them in one.

    Raises:
        UnknownNameError: the bundle has no such part or variant.
        UsageError: the name of the bundle cannot be that of models.
        BundleError: there is no bundle, or no known release of Triton runs one of its graphs.
        IntegrityError: a graph differs from what the manifest records.
        GraphError: a graph has content that a bundle must not have.
        OutputError: a model of the same name exists and `force` is not set, or the folder cannot
            be written to.
    """
    contents = manifest.read(options.bundle)
    name = bundle_name(options.bundle, options.name)
    models = models_of(contents, name, options.parts, options.variants)
    triton = lowest_release(models)
    ensembles, left_out = ensembles_of(name, models)
    configs = {model.name: config_of(model, options) for model in models}
    configs |= {ensemble.name: ensemble_config(ensemble, options) for ensemble in ensembles}
    _refuse_existing(options, configs)
    with files.staging(options.output) as staged:
        for model, config in configs.items():
            files.write(staged / model / _CONFIG, text_of(config).encode())
        for item in models:
            for graph in item.graphs:
                place = staged / item.name / str(graph.version) / GRAPH_FILE
                files.write(place, _verified(options.bundle, graph))
        for ensemble in ensembles:  # object storage, and so commit, has no empty folders
            files.write(staged / ensemble.name / str(ensemble.version) / _PLACEHOLDER, b"")
        with files.locked(options.output, "aeonnx deploy triton", seconds=_PATIENCE):
            _refuse_existing(options, configs)
            files.commit(staged, options.output, None)
    others = _others(options.output, name, configs)
    return Repository(
        options.output, models, tuple(ensembles), configs, triton, tuple(left_out), others
    )


def _refuse_existing(options: TritonOptions, names: dict[str, Message]) -> None:
    for name in names:
        files.refuse_existing(options.output / name, force=options.force)


def _verified(bundle: Path, graph: Graph) -> bytes:
    """The bytes of a graph, which are those that the export compared with torch."""
    path = bundle / graph.entry.file
    data = files.read_verified(path, graph.entry.sha256, graph.entry.bytes)
    check_graph(data, str(path))
    return data


def _others(output: Path, bundle: str, written: dict[str, Message]) -> tuple[str, ...]:
    there = (path.parent.name for path in output.glob(f"*/{_CONFIG}"))
    return tuple(
        sorted(name for name in there if name.rpartition(".")[0] == bundle and name not in written)
    )
