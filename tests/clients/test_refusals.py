"""Every client against what is damaged or missing: words and an exit code, never a crash."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from aeonnx.bundle import manifest
from clients.proof.hostile import misjudged
from clients.proof.program import Program
from tests.clients.damaged import REFUSED, UNFIT, with_manifest
from tests.support import golden_file, graph_file

pytestmark = pytest.mark.clients

Copy = Callable[[str], Path]


@pytest.mark.parametrize(("change", "code", "text"), REFUSED.values(), ids=REFUSED)
def test_a_damaged_bundle_is_refused(
    program: Program, copy: Copy, change: Callable[[Path], object], code: int, text: str
) -> None:
    folder = copy("vae")
    decoder, z = graph_file(folder, "decoder"), golden_file(folder, "decoder", "z")
    rows = (
        manifest.read(folder).parts["decoder"]["fp32"].golden[0].outputs["reconstruction"].shape[0]
    )
    text = text.format(
        folder=folder, decoder=decoder, name=decoder.name, z=z, rows=rows, more=rows + 1
    )
    change(folder)
    refused(program, code, text, "check", folder)


@pytest.mark.parametrize(("name", "verb", "change", "text"), UNFIT.values(), ids=UNFIT)
def test_a_part_that_is_not_what_a_verb_needs_is_refused(
    program: Program,
    made: Path,
    copy: Copy,
    tmp_path: Path,
    name: str,
    verb: str,
    change: Callable[[Path], object],
    text: str,
) -> None:
    folder, target = copy(name), tmp_path / "out.png"
    if name == "vae":
        text = text.format(sampler=graph_file(folder, "sampler").name)
    change(folder)
    source = [made / "noisy.png"] if verb == "denoise" else []
    done = program(verb, folder, *source, target)
    assert done.returncode == 1
    # A client may compare the graph with the manifest first.
    graph = "sampler." if name == "vae" else "denoiser."
    assert done.stderr.startswith((f"Error: {text}", f"Error: {graph}")), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not target.exists()


def test_an_engine_too_old_for_a_graph_is_refused(program: Program, copy: Copy) -> None:
    folder, newer = copy("vae"), {"min_onnxruntime": "99.0", "opset": 99}
    with_manifest(folder, lambda found: found["parts"]["decoder"]["fp32"].update(newer))
    name = graph_file(folder, "decoder").name
    refused(program, 4, f"{name} needs ", "check", folder)


def refused(program: Program, code: int, text: str, *arguments: object) -> None:
    """It ends with this code and these words, and nothing else."""
    done = program(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr.startswith(f"Error: {text}")
    assert len(done.stderr.splitlines()) <= (8 if code == 2 else 1)


def test_what_is_not_there_is_named(program: Program, made: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    nowhere = tmp_path / "nowhere"
    refused(program, 1, f"no bundle at {nowhere}: it ", "check", nowhere)
    no_sampler = 'this bundle has no part "sampler", it has: decoder, denoiser, encoder, scorer.'
    refused(program, 1, no_sampler, "generate", made / "dae", target)
    no_denoiser = 'this bundle has no part "denoiser", it has: '
    refused(program, 1, no_denoiser, "denoise", made / "vae", made / "noisy.png", target)
    missing = tmp_path / "missing.png"
    refused(program, 1, f"{missing} ", "denoise", made / "dae", missing, target)
    assert not target.exists()


def test_a_picture_that_does_not_fit_is_refused(
    program: Program, made: Path, tmp_path: Path
) -> None:
    wide, broken, target = (tmp_path / name for name in ("wide.png", "broken.png", "out.png"))
    target.write_bytes(b"kept")
    verb = ("denoise", "--force", made / "dae")
    Image.new("L", (30, 28)).save(wide)
    expected = f"{wide}: expected 28x28 pixels, got 30x28: resize it first"
    refused(program, 1, expected, *verb, wide, target)
    whole = (made / "noisy.png").read_bytes()
    for data in (b"", b"no picture", whole[:60], whole[: len(whole) // 2]):
        broken.write_bytes(data)
        expected = f"{broken} is not a readable PNG, JPEG or BMP image: "
        refused(program, 1, expected, *verb, broken, target)
    assert target.read_bytes() == b"kept"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["paint"],
        ["check"],
        ["check", "BUNDLE", "--often"],
        ["check", "BUNDLE", "more"],
        ["denoise", "BUNDLE", "in.png"],
        ["generate", "BUNDLE"],
        ["generate", "BUNDLE", "out.png", "--seed"],
        ["generate", "BUNDLE", "out.png", "--seed", "-1"],
        ["generate", "BUNDLE", "out.png", "--seed", str(2**63)],
        ["generate", "BUNDLE", "out.png", "--seed", "seven"],
        ["generate", "BUNDLE", "out.png", "-n", "0"],
        ["generate", "BUNDLE", "out.png", "-n", "1.5"],
    ],
    ids=" ".join,
)
def test_wrong_arguments_end_with_the_usage(
    program: Program, made: Path, tmp_path: Path, arguments: list[str]
) -> None:
    values = {"BUNDLE": made / "vae", "out.png": tmp_path / "out.png"}
    done = program(*(values.get(item, item) for item in arguments))
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("Error: ")
    for verb in (
        "check BUNDLE [--time]",
        "denoise BUNDLE in.png out.png",
        "generate BUNDLE",
        "--force",
    ):
        assert verb in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_result_that_cannot_be_written_is_an_error(
    program: Program, made: Path, tmp_path: Path
) -> None:
    target = tmp_path / "no folder" / "out.png"
    refused(program, 1, f"cannot write {target}", "generate", made / "vae", "-n", 1, target)
    (tmp_path / "taken").mkdir()
    done = program("generate", made / "vae", "-n", 1, tmp_path / "taken")
    assert done.returncode == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_damaged_manifests_are_refused(program: Program, damaged_manifests: Path) -> None:
    assert misjudged(program, damaged_manifests) == []


def test_a_field_that_it_does_not_know_is_no_reason_to_refuse(program: Program, copy: Copy) -> None:
    folder = copy("vae")
    with_manifest(folder, lambda found: found.update(later={"a": [1, None, math.pi]}))
    assert json.loads((folder / "manifest.json").read_text())["later"]
    assert program("check", folder).returncode in program.passes
