from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file

import aeonnx
from aeonnx import models
from aeonnx._util import files
from aeonnx.bundle.manifest import file_names
from aeonnx.errors import (
    BundleError,
    CheckpointError,
    ManifestError,
    OutputError,
    UnknownNameError,
)
from aeonnx.exporting import ExportOptions, export, verify_checkpoint
from aeonnx.runtime import verify
from tests.support import examples_file, graph_file, weights_file

Maker = Callable[..., Path]


def digests(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


OFTEN = {("vae", "mlp"), ("dae", "mlp")}
"""What every run of the tests exports; the other models are `slow`, and in `make clients`."""


@pytest.mark.parametrize(
    ("model", "arch"),
    [
        pytest.param(name, arch, marks=() if (name, arch) in OFTEN else pytest.mark.slow)
        for name in models.names()
        for arch in models.archs(name, one_size=True)
    ],
)
def test_every_model_is_exported_verified_and_equal_to_torch(
    model: str, arch: str, bundle_of: Maker, run_of: Maker
) -> None:
    bundle = aeonnx.load(bundle_of(model, arch))
    assert verify(bundle).passed
    report = verify_checkpoint(bundle, run_of(model, arch))
    assert report.passed, report.failures
    parts = {"encoder", "decoder", "decoder(encoder)"}
    parts |= {"scorer"}
    parts |= {"denoiser"} if model in ("dae", "sdae") else {"reconstructor"}
    parts |= {"classifier"} if model == "sdae" else set()
    parts |= {"sampler"} if model == "vae" else set()
    assert {check.part for check in report.checks} == parts


def test_bundle_holds_what_the_manifest_names_and_no_more(bundle_of: Maker) -> None:
    folder = bundle_of()
    contents = aeonnx.load(folder).manifest
    named = {"manifest.json"}
    for variants in contents.parts.values():
        for variant in variants.values():
            named.add(variant.file)
            named |= {item.file for item in variant.golden[0].inputs.values()}
            named |= {item.file for item in variant.golden[0].outputs.values()}
    assert set(digests(folder)) == named


def test_graphs_say_what_they_are(bundle_of: Maker) -> None:
    contents = aeonnx.load(bundle_of()).manifest
    graph = onnx.load(graph_file(bundle_of(), "decoder"))
    facts = {item.key: item.value for item in graph.metadata_props}
    assert facts["aeonnx.model"] == "vae"
    assert facts["aeonnx.part"] == "decoder"
    assert facts["aeonnx.checkpoint_id"] == contents.checkpoint_id


def test_golden_vectors_hold_real_digits(bundle_of: Maker, run_of: Maker) -> None:
    bundle = aeonnx.load(bundle_of())
    golden = bundle.read_golden(bundle.variant("encoder").golden[0].inputs["x"])
    examples = load_file(examples_file(run_of()))["test"][:8].numpy()
    np.testing.assert_array_equal(golden[:8], examples.astype(np.float32) / np.float32(255))


def test_parts_are_added_one_by_one_and_are_the_same_bytes(
    run_of: Maker, bundle_of: Maker, tmp_path: Path
) -> None:
    options = ExportOptions("vae", tmp_path / "bundle", run_of())
    first = export(replace(options, parts=("decoder",)))
    assert list(first.manifest.parts) == ["decoder"]
    assert {check.part for check in first.report.checks} == {"decoder"}
    second = export(replace(options, parts=("encoder",)))
    assert list(second.manifest.parts) == ["decoder", "encoder"]
    # The encoder is verified together with the decoder that was there.
    assert {check.part for check in second.report.checks} == {"encoder", "decoder(encoder)"}
    export(replace(options, parts=("reconstructor", "scorer")))
    export(replace(options, parts=("sampler",)))
    assert digests(tmp_path / "bundle") == digests(bundle_of())


def test_another_checkpoints_part_is_refused(run_of: Maker, bundle_copy: Path) -> None:
    before = digests(bundle_copy)
    options = ExportOptions("vae", bundle_copy, run_of("vae", "mlp", 1), parts=("decoder",))
    with pytest.raises(
        BundleError, match=r"holds parts of another checkpoint .*: pass --force to replace"
    ):
        export(options)
    assert digests(bundle_copy) == before
    export(replace(options, force=True))
    bundle = aeonnx.load(bundle_copy)
    assert list(bundle.manifest.parts) == ["decoder"]
    assert verify(bundle).passed
    assert [path.name for path in bundle_copy.glob("*.onnx")] == [bundle.path("decoder").name]


def test_a_folder_with_other_things_is_left_alone(run_of: Maker, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    options = ExportOptions("vae", tmp_path, run_of(), parts=("decoder",))
    with pytest.raises(OutputError, match="exists and is not a bundle: pass --force"):
        export(options)
    assert set(digests(tmp_path)) == {"thesis.txt"}
    export(replace(options, force=True))
    assert (tmp_path / "thesis.txt").read_text() == "precious"
    assert verify(aeonnx.load(tmp_path)).passed


def test_a_newer_bundle_is_not_overwritten(run_of: Maker, bundle_copy: Path) -> None:
    path = bundle_copy / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": 3}))
    with pytest.raises(ManifestError, match="format version 3"):
        export(ExportOptions("vae", bundle_copy, run_of(), parts=("decoder",)))


def test_an_interrupted_export_leaves_nothing(run_of: Maker, tmp_path: Path) -> None:
    class Impatient:
        def exporting(self, part: str, *_: object) -> None:
            if part == "decoder":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(ExportOptions("vae", tmp_path / "bundle", run_of()), Impatient())
    assert not (tmp_path / "bundle").exists()


def test_unknown_parts_suggest_the_nearest(run_of: Maker, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown part of vae 'decodr'.*'decoder'"):
        export(ExportOptions("vae", tmp_path / "b", run_of(), parts=("decodr",)))
    assert not (tmp_path / "b").exists()


def test_plain_state_dict_is_exported_without_examples(run_of: Maker, tmp_path: Path) -> None:
    torch.save(load_file(weights_file(run_of())), tmp_path / "model.pth")
    exported = export(
        ExportOptions("vae", tmp_path / "bundle", tmp_path / "model.pth", parts=("decoder",))
    )
    assert exported.manifest.training is None
    assert exported.report.passed


def test_live_comparison_needs_the_bundles_own_checkpoint(bundle_of: Maker, run_of: Maker) -> None:
    with pytest.raises(BundleError, match=r"was not exported from .*: its checkpoint id is"):
        verify_checkpoint(aeonnx.load(bundle_of()), run_of("vae", "mlp", 1))
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        verify_checkpoint(aeonnx.load(bundle_of()), Path("none"))


def test_what_a_killed_export_left_goes_with_the_next(run_of: Maker, bundle_copy: Path) -> None:
    before = digests(bundle_copy)
    left = {"decoder.fp16.onnx": b"left", "golden/decoder/other.bin": b"left"}
    for name, data in left.items():
        (bundle_copy / files.named_by_content(name, data)).write_bytes(data)
    (bundle_copy / ".bundle.01234567.aeonnx").mkdir()
    (bundle_copy / "notes.txt").write_text("mine")
    export(ExportOptions("vae", bundle_copy, run_of(), parts=("decoder",)))
    assert digests(bundle_copy) == {**before, "notes.txt": digests(bundle_copy)["notes.txt"]}


def test_exports_into_one_bundle_at_once_lose_no_part(run_of: Maker, tmp_path: Path) -> None:
    """Each starts when there is no bundle, and ends when the other's is there."""

    class Late:
        def exporting(self, part: str, *_: object) -> None:
            if part == "encoder":
                export(replace(options, parts=("decoder",)))

    options = ExportOptions("vae", tmp_path / "b", run_of(), parts=("encoder",))
    exported = export(options, Late())
    assert sorted(exported.manifest.parts) == ["decoder", "encoder"]
    assert verify(aeonnx.load(tmp_path / "b")).passed


@pytest.mark.shortened(1)
@pytest.mark.parametrize("force", [False, True])
def test_a_hostile_bundle_takes_nothing_with_it(
    run_of: Maker, bundle_copy: Path, tmp_path: Path, force: bool
) -> None:
    """Its manifest names files of the user, some through links, as its own."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.tex").write_text("precious")
    (bundle_copy / "docs").symlink_to(home)
    (bundle_copy / "plain.txt").write_text("precious")
    path = bundle_copy / "manifest.json"
    document = json.loads(path.read_text())
    graph = document["parts"]["decoder"]["fp32"]
    named = {"docs/thesis.tex": home / "thesis.tex", "plain.txt": bundle_copy / "plain.txt"}
    graph["golden"][0]["inputs"]["z"]["file"], graph["file"] = named
    graph["sha256"] = sha256(b"precious").hexdigest()
    document["parts"]["scorer"]["fp32"]["file"] = "golden"
    path.write_text(json.dumps(document))
    export(ExportOptions("vae", bundle_copy, run_of(), ("decoder", "scorer"), force=force))
    for file in named.values():
        assert file.read_text() == "precious"
    assert verify(aeonnx.load(bundle_copy)).passed


def test_golden_files_do_not_go_through_a_link(
    run_of: Maker, bundle_copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(bundle_copy / "golden")
    (bundle_copy / "golden").symlink_to(tmp_path / "elsewhere")
    before = digests(bundle_copy)
    with pytest.raises(OutputError, match="golden in it is a link or a file, not a folder: move"):
        export(ExportOptions("vae", bundle_copy, run_of(), parts=("decoder",)))
    assert digests(bundle_copy) == before
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_forged_journal_moves_nothing(run_of: Maker, tmp_path: Path) -> None:
    """As earlier releases kept one: a folder whose files were to be moved into place."""
    (tmp_path / "ssh").mkdir()
    run = shutil.copytree(run_of(), tmp_path / "run")
    (run / ".committed/sub").mkdir(parents=True)
    (run / ".committed/sub/authorized_keys").write_text("forged")
    (run / "sub").symlink_to(tmp_path / "ssh")
    export(ExportOptions("vae", tmp_path / "b", run, parts=("decoder",)))
    assert not list((tmp_path / "ssh").iterdir())
    assert (run / ".committed/sub/authorized_keys").exists()


def test_progress_counts_every_graph(run_of: Maker, tmp_path: Path) -> None:
    seen: list[tuple[str, str, int, int]] = []

    class Counting:
        def exporting(self, part: str, variant: str, number: int, total: int) -> None:
            seen.append((part, variant, number, total))

    parts = ("encoder", "decoder", "sampler")
    options = ExportOptions("vae", tmp_path / "b", run_of(), parts, io=("uint8",), force=True)
    exported = export(options, Counting())
    graphs = [(name, each) for name, part in exported.manifest.parts.items() for each in part]
    assert sorted((part, name) for part, name, *_ in seen) == sorted(graphs)
    assert [(number, total) for *_, number, total in seen] == [
        (number, len(graphs)) for number in range(1, len(graphs) + 1)
    ]


@pytest.mark.parametrize(
    "options",
    [{"parts": ("sampler",)}, {"parts": ("encoder",), "precisions": ("fp16",)}],
    ids=["sampler", "encoder in fp16"],
)
def test_what_was_built_on_the_way_is_no_part_of_the_bundle(
    run_of: Maker, tmp_path: Path, options: dict[str, Any]
) -> None:
    """The decoder: a sampler contains it, and latents are measured on the images that it makes."""
    exported = export(ExportOptions("vae", tmp_path / "b", run_of(), **options))
    assert set(exported.manifest.parts) == {*options["parts"]}
    assert digests(tmp_path / "b").keys() == {"manifest.json"} | file_names(exported.manifest)


def test_an_error_of_our_own_is_not_laid_on_the_module(
    run_of: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aeonnx.exporting.pipeline.export_part", len)  # it takes one argument
    with pytest.raises(TypeError, match="takes exactly one argument"):
        export(ExportOptions("vae", tmp_path / "b", run_of()))
