"""A conditional VAE: trained with labels, it generates what was asked for."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from safetensors.torch import load_file, save_file

import aeonnx as library
from aeonnx.bundle import TensorSpec
from aeonnx.checkpoint import load
from aeonnx.errors import AeonnxError, BundleError, CheckpointError, InputError, UnknownNameError
from aeonnx.runtime.class_names import label_number
from aeonnx.training import load_data

Cli = Callable[..., Result]
Maker = Callable[..., Path]
SMALL = {"conditional": True, "device": "cpu", "seed": 0}


@pytest.fixture(scope="module")
def run(conditional: Path) -> Path:
    return conditional


@pytest.fixture(scope="module")
def bundle(run: Path) -> library.Bundle:
    return library.load(run / "bundle", ["cpu"])


def means() -> np.ndarray:
    """The mean digit of each class, [10, 784]."""
    train = load_data("mnist-sample", Path()).train
    assert train.labels is not None
    pixels = train.images.read(torch.arange(len(train.images))).flatten(1).float() / 255
    return np.stack([pixels[train.labels == digit].mean(0).numpy() for digit in range(10)])


def test_each_label_generates_its_own_class(bundle: library.Bundle) -> None:
    nearest = []
    for digit in range(10):
        images = bundle.generate(64, seed=3, label=digit).reshape(64, -1)
        distances = np.square(images[:, None] - means()).sum(2)
        nearest.append((distances.argmin(1) == digit).mean())
    assert np.mean(nearest) > 0.6, nearest  # 0.1 without labels
    labels = np.arange(10)
    one_by_one = [bundle.generate(1, seed=3, first=i, label=int(i))[0] for i in labels]
    np.testing.assert_allclose(bundle.generate(10, seed=3, label=labels), one_by_one, atol=1e-6)


def test_parts_take_the_label(bundle: library.Bundle) -> None:
    for part in ("encoder", "decoder", "reconstructor", "scorer", "sampler"):
        spec = next(spec for spec in bundle.inputs(part) if spec.name == "label")
        assert (spec.kind, spec.dtype, spec.shape, spec.range) == (
            "label",
            "int64",
            ("batch",),
            (0, 9),
        )
    assert bundle.manifest.classes == tuple("0123456789")
    with pytest.raises(InputError, match=r"label: expected int64 \[batch\] in \[0, 9\]"):
        bundle.generate(1, label=10)
    with pytest.raises(InputError, match="give label too, with --label CLASS"):
        bundle.generate(1)


def test_classes_are_given_by_name(bundle: library.Bundle) -> None:
    x = bundle.generate(3, seed=1, label=[3, 1, 4])
    names = ["3", "1", "4"]
    for given in (names, tuple(names), np.array(names)):
        np.testing.assert_array_equal(bundle.generate(3, seed=1, label=given), x)
    for verb in ("encode", "reconstruct"):
        call = getattr(bundle, verb)
        np.testing.assert_array_equal(call(x, label="7"), call(x, label=7))
    np.testing.assert_array_equal(
        bundle.score(x, label="7").scores, bundle.score(x, label=7).scores
    )
    drawn = bundle.run("sampler", seed=[5], index=np.arange(3), label="7")["image"]
    np.testing.assert_array_equal(drawn, bundle.generate(3, seed=5, label=7, pixels=True))
    for given in ("10", ["3", "10", "4"]):
        with pytest.raises(UnknownNameError, match="unknown label '10'. Known: 0, 1, 2"):
            bundle.generate(3, label=given)


def test_a_misspelt_class_gets_a_suggestion() -> None:
    spec = TensorSpec("label", ("batch",), "int64", range=(0, 1), kind="label")
    classes = ("circle", "square")
    assert [label_number(spec, classes, text) for text in ("square", "0")] == [1, 0]
    with pytest.raises(UnknownNameError) as caught:
        label_number(spec, classes, "cirlce")
    assert str(caught.value) == (
        "unknown label 'cirlce'. Did you mean 'circle'? Known: circle, square. "
        "Their numbers are 0 to 1."
    )


def test_the_right_label_reconstructs_better(run: Path, bundle: library.Bundle) -> None:
    examples = load(run / "run", "vae").examples
    assert examples is not None
    assert examples.normal is not None
    assert examples.normal_labels is not None
    x, labels = examples.normal.numpy(), examples.normal_labels.numpy()
    right = bundle.score(x, label=labels)
    predicted = bundle.score(x, label=bundle.predict_labels(x))
    wrong = bundle.score(x, label=(labels + 1) % 10)
    assert np.median(wrong.scores / right.scores) > 1.05
    # The thresholds are those of images with predicted labels, as the command scores them.
    assert predicted.odd.sum() == len(x) // 100 - 1
    assert right.odd.sum() >= predicted.odd.sum()


def test_the_sampler_draws_the_same(bundle: library.Bundle) -> None:
    labels = np.arange(10)
    drawn = bundle.run("sampler", seed=[5], index=labels, label=labels)["image"]
    np.testing.assert_array_equal(drawn, bundle.generate(10, seed=5, label=labels, pixels=True))


def test_rows_of_labels(aeonnx: Cli, run: Path, bundle: library.Bundle) -> None:
    told = aeonnx("generate", run / "bundle", "--labels", "730", "-n", 4, "-o", "grid.png",
                  "--seed", 5, "--provider", "cpu")  # fmt: skip
    assert told.exit_code == 0, told.output
    with Image.open("grid.png") as picture:
        grid = np.asarray(picture)
    assert grid.shape == (3 * 30 + 2, 4 * 30 + 2)
    for row, digit in enumerate((7, 3, 0)):
        images = bundle.generate(4, seed=5, label=digit, pixels=True)
        for column in range(4):
            top, left = 2 + 30 * row, 2 + 30 * column
            np.testing.assert_array_equal(grid[top : top + 28, left : left + 28], images[column, 0])
    told = aeonnx("generate", run / "bundle", "--label", "7", "-n", 3, "-o", "x.npy", "--seed", 5)
    assert told.exit_code == 0, told.output
    np.testing.assert_allclose(np.load("x.npy"), bundle.generate(3, seed=5, label=7), atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--labels", "7x"), "unknown label 'x'. Known: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9."),
        (("--labels", "7", "--label", "7"), "--label is for one class and --labels for several"),
        (("--label", "ten"), "unknown label 'ten'. Known: 0, 1, 2"),
        (("--label", "10"), "unknown label '10'. Known: 0, 1, 2"),
        (("--labels", "7,10"), "unknown label '10'. Known: 0, 1, 2"),
        ((), "Missing option '--label' or '--labels': the class to generate, one of 0, 1, 2, 3, 4"),
    ],
)
def test_labels_that_are_none_are_refused(
    aeonnx: Cli, run: Path, arguments: tuple[str, ...], text: str
) -> None:
    told = aeonnx("generate", run / "bundle", "-n", 2, "-o", "x.png", *arguments)
    assert (told.exit_code, text in told.output) == (2, True), told.output
    assert not Path("x.png").exists()


def test_an_unconditional_bundle_takes_no_label(
    aeonnx: Cli, bundle_of: Callable[..., Path]
) -> None:
    for option in ("--label", "--labels"):
        told = aeonnx("generate", bundle_of(), option, "7", "-n", 2, "-o", "x.png")
        assert told.exit_code == 2
        assert f"{option}: this bundle's decoder takes none, leave it out" in told.output


def test_the_next_command_makes_rows_of_labels(aeonnx: Cli, run: Path) -> None:
    told = aeonnx(
        "export", "-m", "vae", "--checkpoint", run / "run", "-o", "dist", "--part", "decoder"
    )
    assert told.exit_code == 0, told.output
    assert "aeonnx generate dist --labels 0123456789 -n 8 --seed 7 -o grid.png" in told.output


@pytest.mark.slow  # what resuming keeps is tested of other models too
def test_a_resumed_run_is_the_same_to_the_bit(tmp_path: Path) -> None:
    options = {**SMALL, "schedule": "constant", "arch": "conv", "hidden": (4,)}
    library.train("vae", tmp_path / "one", epochs=2, **options)
    library.train("vae", tmp_path / "two", epochs=1, **options)
    library.train("vae", tmp_path / "two", epochs=2, resume=True)
    one, two = (load(tmp_path / name, "vae") for name in ("one", "two"))
    assert one.checkpoint_id == two.checkpoint_id
    assert one.config.classes == tuple("0123456789")


def test_what_cannot_be_conditional_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((9, 28, 28), np.uint8))
    for model, options, text in (
        ("ae", {}, "ae takes no --conditional: expected -m vae, or leave it out"),
        (
            "vae",
            {"data": tmp_path / "x.npy"},
            "vae --conditional learns from labels, and x.npy has",
        ),
    ):
        with pytest.raises(AeonnxError) as caught:
            library.train(model, tmp_path / "run", **{**SMALL, **options})
        assert str(caught.value).startswith(text)


def test_labels_of_a_checkpoint_are_checked(run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run / "run", tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    path = folder / config["examples"]["file"]
    tensors = load_file(path)
    tensors["test_labels"] = tensors["test_labels"] + 5
    save_file(tensors, path)
    config["examples"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    config["examples"]["bytes"] = path.stat().st_size
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="test_labels: expected numbers of the 10 classes"):
        load(folder, "vae")


def test_odd_classes_have_no_label_to_be_scored_with(tmp_path: Path) -> None:
    library.train("vae", tmp_path / "run", epochs=1, hidden=[8], normal="0-8", **SMALL)
    run = load(tmp_path / "run", "vae")
    assert run.config.classes == tuple("012345678")
    assert run.training is not None
    assert "auroc" not in run.training.metrics


def test_states_of_older_versions_resume(tmp_path: Path) -> None:
    options = {"epochs": 1, "hidden": [8], "schedule": "constant", "device": "cpu"}
    library.train("vae", tmp_path / "run", **options)
    for path in (tmp_path / "run" / "state").glob("*/state.json"):
        document = json.loads(path.read_text())
        for name in ("noisy", "normal", "conditional"):
            del document["options"][name]
        before = hashlib.sha256(path.read_bytes()).hexdigest()
        path.write_text(json.dumps(document))
        sums = path.with_name("SHA256SUMS")
        after = hashlib.sha256(path.read_bytes()).hexdigest()
        sums.write_text(sums.read_text().replace(before, after))
    assert len(library.train("vae", tmp_path / "run", resume=True, epochs=2).epochs) == 2


def test_labels_are_predicted_where_none_are_given(
    aeonnx: Cli, run: Path, bundle: library.Bundle
) -> None:
    examples = load(run / "run", "vae").examples
    assert examples is not None
    assert examples.normal_labels is not None
    x, labels = examples.normal.numpy()[:200], examples.normal_labels.numpy()[:200]
    predicted = bundle.predict_labels(x)
    assert (predicted.dtype, predicted.shape) == (np.int64, (200,))
    assert (predicted == labels).mean() > 0.75  # 0.1 by chance
    np.testing.assert_array_equal(bundle.predict_labels((x / 255).astype(np.float32)), predicted)
    np.save("x.npy", x)
    for verb, output in (("reconstruct", "r.npy"), ("encode", "z.npy")):
        for options, label in (((), predicted), (("--label", "7"), 7)):
            told = aeonnx(verb, run / "bundle", "x.npy", "-o", output, "--force", *options)
            assert told.exit_code == 0, told.output
            expected = getattr(bundle, verb)(x, label=label)
            np.testing.assert_allclose(np.load(output), expected, atol=1e-5)
    done = aeonnx("encode", run / "bundle", "x.npy", "-o", "z.npz")
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(np.load("z.npz")["label"], predicted)
    done = aeonnx("decode", run / "bundle", "z.npz", "-o", "d.npy")
    assert done.exit_code == 0, done.output
    np.testing.assert_allclose(np.load("d.npy"), bundle.reconstruct(x, label=predicted), atol=1e-5)
    told = aeonnx("score", run / "bundle", "x.npy", "-o", "s.npy")
    found = bundle.score(x, label=predicted)
    assert f"{found.odd.sum()} of 200 above {found.threshold:.4g} (p99); of normal images, " in (
        told.output
    )
    told_of_given = aeonnx("score", run / "bundle", "x.npy", "--label", "7").output
    assert "(p99); of normal images whose labels are predicted, 0." in told_of_given
    assert told.exit_code == 0, told.output
    np.testing.assert_allclose(np.load("s.npy"), bundle.score(x, label=predicted).scores, rtol=1e-4)


def test_a_latent_is_decoded_with_the_label_that_is_given(
    aeonnx: Cli, run: Path, bundle: library.Bundle
) -> None:
    z = bundle.draw_latents(3, seed=1)
    np.save("z.npy", z)
    told = aeonnx("decode", run / "bundle", "z.npy", "-o", "x.npy", "--label", "4")
    assert told.exit_code == 0, told.output
    np.testing.assert_allclose(np.load("x.npy"), bundle.decode(z, label=4), atol=1e-5)
    told = aeonnx("decode", run / "bundle", "z.npy", "-o", "y.npy")
    assert told.exit_code == 1
    assert "label" in told.output
    told = aeonnx("decode", run / "bundle", "z.npy", "-o", "y.npy", "--label", "eleven")
    assert told.exit_code == 2
    assert "unknown label 'eleven'. Known: 0, 1, 2" in told.output


def test_a_model_without_labels_predicts_none(aeonnx: Cli, bundle_of: Maker) -> None:
    x = np.zeros((1, 1, 28, 28), np.float32)
    np.save("x.npy", x)
    with pytest.raises(BundleError, match="predicting labels: expected a bundle whose parts take"):
        library.load(bundle_of(), ["cpu"]).predict_labels(x)
    for verb in ("reconstruct", "score"):
        told = aeonnx(verb, bundle_of(), "x.npy", "-o", "y.npy", "--label", "4")
        assert told.exit_code == 2
        assert "--label: this bundle's" in told.output
        assert "takes none, leave it out" in told.output


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("encode", "x.npy", "-o", "y.npy", "--label", "7", "--input", "label=3"), 2, "give one"),
        (("generate", "-o", "y.npy", "--label", "7", "--input", "label=3"), 2, "give one of them"),
        (("generate", "-o", "y.npy", "--labels", "70", "--input", "label=3"), 2, "give one of"),
        (("generate", "-o", "y.npy", "--label", "\u00b2"), 2, "unknown label"),
        (("score", "x.npy", "--label", "99"), 2, "unknown label '99'. Known: 0, 1, 2"),
        (("score", "x.npy", "--input", "label=-1"), 1, "label: expected int64 [batch] in [0, 9]"),
    ],
)
def test_labels_that_contradict_or_do_not_exist(
    aeonnx: Cli, run: Path, arguments: tuple[str, ...], code: int, text: str
) -> None:
    np.save("x.npy", np.zeros((1, 1, 28, 28), np.float32))
    verb, *others = arguments
    told = aeonnx(verb, run / "bundle", *others)
    assert (told.exit_code, text in told.output) == (code, True), told.output
    assert not Path("y.npy").exists()


def test_a_part_alone_says_why_it_needs_the_label(aeonnx: Cli, run: Path) -> None:
    library.export("vae", "alone", checkpoint=run / "run", parts="scorer")
    np.save("x.npy", np.zeros((1, 1, 28, 28), np.float32))
    told = aeonnx("score", "alone", "x.npy")
    assert told.exit_code == 1
    assert "score: expected a label, with --label CLASS. To predict it, images are" in told.output
    assert aeonnx("score", "alone", "x.npy", "--label", "3").exit_code == 0


def test_calibration_images_get_the_labels_that_fit_them(run: Path, tmp_path: Path) -> None:
    examples = load(run / "run", "vae").examples
    assert examples is not None
    np.save(tmp_path / "x.npy", examples.train.numpy()[:200])
    folder = tmp_path / "b"
    given = {"checkpoint": run / "run", "calibration": tmp_path / "x.npy"}
    library.export("vae", folder, parts=["encoder", "decoder", "scorer"], **given)
    limits = library.load(folder, ["cpu"]).variant("scorer").percentiles["error"]
    own = library.load(run / "bundle", ["cpu"]).variant("scorer").percentiles["error"]
    assert limits["p95"] == pytest.approx(own["p95"], rel=0.35)
