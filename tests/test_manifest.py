from __future__ import annotations

import copy
import dataclasses
import json
import os
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeonnx.bundle import Conversion, manifest
from aeonnx.errors import BundleError, ManifestError
from tests.clients.manifests import by_hand, refusal

SCHEMA = json.loads((files("aeonnx.bundle") / "schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.fixture(scope="session")
def document(bundle_of: Callable[..., Path]) -> dict[str, Any]:
    return json.loads((bundle_of() / manifest.FILE_NAME).read_text())


def parse(document: Any) -> manifest.Manifest:
    return manifest.parse(json.dumps(document).encode())


def test_round_trip_gives_the_same_bytes(bundle_of: Callable[..., Path]) -> None:
    text = (bundle_of() / manifest.FILE_NAME).read_bytes()
    assert manifest.serialize(manifest.parse(text)) == text


def test_schema_accepts_what_export_writes(document: dict[str, Any]) -> None:
    VALIDATOR.validate(document)


def test_manifest_holds_no_path_time_or_host(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert str(Path.home()) not in text
    assert "/tmp" not in text  # noqa: S108


def paths(node: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON document."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if _is_list(node) else ()
    below = [path for key, value in items for path in paths(value, (*prefix, key))]
    return [prefix, *below] if prefix else below


def _is_list(node: Any) -> bool:
    return isinstance(node, list)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_any_edit_is_refused_in_our_words_or_keeps_the_schema(
    document: dict[str, Any], data: st.DataObject
) -> None:
    edited = copy.deepcopy(document)
    path = data.draw(st.sampled_from(paths(edited)))
    node = edited
    for key in path[:-1]:
        node = node[key]
    if data.draw(st.booleans()):
        del node[path[-1]]
    else:
        node[path[-1]] = data.draw(JUNK)
    try:
        text = json.dumps(edited)
        manifest.parse(text.encode())
    except ManifestError:
        return
    VALIDATOR.validate(json.loads(text))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_our_words(text: bytes) -> None:
    with pytest.raises(ManifestError):
        manifest.parse(text)


def test_each_fault_is_refused_for_what_it_is(
    bundle_of: Callable[..., Path], document: dict[str, Any]
) -> None:
    """By the reader, which names the field, and by the schema wherever that can say it."""
    assert VALIDATOR.is_valid(document)
    whole = (bundle_of() / manifest.FILE_NAME).read_bytes()
    assert refusal(bundle_of(), whole) is None
    cases = by_hand(whole)
    for name, case in cases.items():
        said = refusal(bundle_of(), case.text)
        assert said is not None, name
        assert case.says in said, f"{name}: {said}"
        assert said.isprintable(), name
        if case.in_schema:
            assert not VALIDATOR.is_valid(json.loads(case.text)), name
    assert sum(case.in_schema for case in cases.values()) == 81


def test_fields_of_later_releases_are_no_reason_to_refuse(document: dict[str, Any]) -> None:
    edited = copy.deepcopy(document)
    edited["later"] = {"a": [1, None, "\x1b"]}
    edited["parts"]["decoder"]["fp32"]["later"] = 1e300
    assert parse(edited) == parse(document)
    VALIDATOR.validate(edited)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400])
def test_no_number_is_infinite_wherever_it_is(document: dict[str, Any], number: str) -> None:
    text = json.dumps(document | {"later": [{"x": "@"}]}).replace('"@"', number)
    with pytest.raises(ManifestError, match=rf"expected finite numbers, got {number[:9]}"):
        manifest.parse(text.encode())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"outputs.0.shape": ["batch", 2, 28, 28]}, r"golden.0.outputs.reconstruction: expected"),
        ({"outputs.0.shape": [7, 1, 28, 28]}, r"inputs: expected one with a first size of 7, as"),
        ({"outputs.0.dtype": "uint8"}, r"expected uint8 \[24, 1, 28, 28\], got float32"),
        ({"inputs.0.shape": []}, r"inputs.0.shape: expected the batch axis at least, got \[\]"),
        (
            {"inputs.0.shape": ["batch", "batch"]},
            r"sizes above 0, \"batch\" for the first, or axes",
        ),
        ({"golden.0.inputs.z.shape": [23, 20]}, r"expected float32 \[23, 1, 28, 28\], got float"),
        (
            {"inputs.0.shape": [7, 20], "outputs.0.shape": [7, 1, 28, 28], "axes": {}},
            r"golden.0.inputs: expected batches of 7 rows, got 24 rows",
        ),
    ],
)
def test_tensors_that_do_not_belong_together_are_refused(
    document: dict[str, Any], change: dict[str, Any], text: str
) -> None:
    edited = copy.deepcopy(document)
    for path, value in change.items():
        place = edited["parts"]["decoder"]["fp32"]
        *steps, last = path.split(".")
        for step in steps:
            place = place[int(step) if step.isdigit() else step]
        place[last] = value
    with pytest.raises(ManifestError, match=text):
        parse(edited)


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / manifest.FILE_NAME
    os.mkfifo(path)
    with pytest.raises(BundleError, match=r"manifest.json: it is a FIFO, not a regular file"):
        manifest.read(tmp_path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(BundleError, match=r"manifest.json: it is a device, not a regular file"):
        manifest.read(tmp_path)
    path.unlink()
    with path.open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(BundleError, match=r"it has 1,099,511,627,776 bytes, and at most 16,7"):
        manifest.read(tmp_path)


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 3000, "a\0b"])
def test_a_name_that_no_folder_can_have_is_no_bundle(name: str) -> None:
    with pytest.raises(BundleError):
        manifest.read(Path(name))


def test_what_is_written_can_be_read(document: dict[str, Any]) -> None:
    """Names of files and folders may hold anything; a manifest that is written never does."""
    persian = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"  # with the joiner that it needs
    names = {"model": "a\x1b[2J\udce9", "arch": persian, "tools": {"x\x9b": "1"}}
    read = manifest.parse(manifest.serialize(dataclasses.replace(parse(document), **names)))
    assert (read.model, read.tools) == (r"a\x1b[2J\udce9", {r"x\x9b": "1"})
    assert read.arch == persian


def test_newer_format_says_upgrade(document: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match=r"has format version 3.*upgrade with: pip install -U"):
        parse(document | {"version": 3})


def test_an_older_format_says_export_again(document: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match=r"has format version 1, this aeonnx reads version 2: "):
        parse(document | {"version": 1})


def test_another_json_file_is_not_a_bundle() -> None:
    with pytest.raises(ManifestError, match='expected "format": "aeonnx-bundle"'):
        parse({"hello": 1})


def test_message_names_the_field(document: dict[str, Any]) -> None:
    edited = copy.deepcopy(document)
    edited["parts"]["decoder"]["fp32"]["sha256"] = "12"
    with pytest.raises(
        ManifestError, match=r"parts\.decoder\.fp32\.sha256: expected 64 hex digits, got '12'"
    ):
        parse(edited)


@pytest.mark.parametrize("file", ["/etc/passwd", "../up.onnx", "a/../../b", "", "a\\b"])
def test_files_outside_the_bundle_are_refused(document: dict[str, Any], file: str) -> None:
    edited = copy.deepcopy(document)
    edited["parts"]["decoder"]["fp32"]["file"] = file
    with pytest.raises(ManifestError, match="expected a path inside the bundle"):
        parse(edited)


@pytest.mark.parametrize("tolerance", [0, -1, None, float("inf"), float("nan")])
def test_tolerance_that_would_pass_anything_is_refused(
    document: dict[str, Any], tolerance: float | None
) -> None:
    edited = copy.deepcopy(document)
    golden = edited["parts"]["decoder"]["fp32"]["golden"][0]["outputs"]["reconstruction"]
    golden["tolerance"][-1] = tolerance
    expected = "tolerance: expected 24 numbers above 0|tolerance.*: expected a number|not JSON"
    with pytest.raises(ManifestError, match=expected):
        parse(edited)


def test_every_stored_row_needs_a_tolerance(document: dict[str, Any]) -> None:
    edited = copy.deepcopy(document)
    golden = edited["parts"]["decoder"]["fp32"]["golden"][0]["outputs"]["reconstruction"]
    del golden["tolerance"][-1]
    expected = "tolerance: expected 24 numbers above 0, one for each row, got 23"
    with pytest.raises(ManifestError, match=expected):
        parse(edited)
    golden["tolerance"] = 1e-6
    with pytest.raises(ManifestError, match="tolerance: expected a list, got 1e-06"):
        parse(edited)


@pytest.mark.parametrize(
    ("classes", "text"),
    [
        (["cat", ""], "classes: expected names, got an empty one"),
        (["cat", "cat"], "classes: expected distinct names"),
        (["cat", 3], "classes.1: expected a text, got 3"),
        (None, "classes: expected a list, got null"),
    ],
)
def test_classes_without_names_of_their_own_are_refused(
    document: dict[str, Any], classes: object, text: str
) -> None:
    with pytest.raises(ManifestError, match=text):
        parse(document | {"classes": classes})


def test_a_classifier_names_each_of_its_outputs(bundle_of: Callable[..., Path]) -> None:
    document = json.loads((bundle_of("sdae") / manifest.FILE_NAME).read_text())
    assert parse(document).classes == tuple("0123456789")
    VALIDATOR.validate(document)
    text = r"classes: expected a name for each output of the classifier, \[10\], got 9"
    with pytest.raises(ManifestError, match=text):
        parse(document | {"classes": list("012345678")})


def test_the_prior_is_for_the_latents(bundle_of: Callable[..., Path]) -> None:
    document = json.loads((bundle_of("vae") / manifest.FILE_NAME).read_text())
    stored = copy.deepcopy(document["parts"]["decoder"]["fp32"]["golden"][0]["inputs"]["z"])
    stored |= {"dtype": "float64", "tolerance": None, "shape": [7]}
    prior = {"kind": "fitted", "temperature": 1.0, "mean": stored, "factor": None}
    text = r"prior: expected 20 channels, as z of decoder has, got \[7\]"
    with pytest.raises(ManifestError, match=text):
        parse(document | {"prior": prior})


@pytest.mark.parametrize("shape", [[2**62], [2**31, 2**31], [10**30, 1, 1]])
def test_sizes_fit_every_language(document: dict[str, Any], shape: list[int]) -> None:
    edited = copy.deepcopy(document)
    edited["parts"]["decoder"]["fp32"]["golden"][0]["inputs"]["z"]["shape"] = shape
    with pytest.raises(ManifestError, match=r"shape: expected fewer than 2\*\*50 values"):
        parse(edited)


def test_missing_bundle_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no bundle at .*: it is not a folder. Make one with"):
        manifest.read(tmp_path / "none")
    with pytest.raises(BundleError, match=r"it has no manifest.json"):
        manifest.read(tmp_path)


def test_how_a_variant_was_made_is_optional_and_checked(document: dict[str, Any]) -> None:
    edited = copy.deepcopy(document)
    variant = edited["parts"]["decoder"]["fp32"]
    del variant["conversion"]
    assert parse(edited) == parse(document)
    VALIDATOR.validate(edited)
    variant["conversion"] = {"method": "static", "in_fp32": 1, "of": 4}
    assert parse(edited).parts["decoder"]["fp32"].conversion == Conversion("static", 1, 4)
    VALIDATOR.validate(edited)
    for change, text in (
        ({"method": "int4"}, r"conversion.method: expected one of float16, dynamic, static, wei"),
        ({"in_fp32": 5}, r"conversion.in_fp32: expected 0 to 4, as `of` says, got 5"),
        ({"of": "4"}, r"conversion.of: expected a whole number, got \"4\""),
    ):
        variant["conversion"] = {"method": "static", "in_fp32": 1, "of": 4} | change
        with pytest.raises(ManifestError, match=text):
            parse(edited)


def test_quality_without_sizes_is_read(document: dict[str, Any]) -> None:
    item = {"metric": "snr", "value": 50.0, "least": 42.0, "images": 8, "fp32": None}
    edited = copy.deepcopy(document)
    quality = {"reconstruction": [item, item | {"sizes": {"height": 12}}]}
    edited["parts"]["decoder"]["fp32"]["quality"] = quality
    found = parse(edited).parts["decoder"]["fp32"].quality
    assert found is not None
    assert [kept.sizes for kept in found["reconstruction"]] == [{}, {"height": 12}]
    VALIDATOR.validate(edited)
    quality["reconstruction"][0]["sizes"] = {"height": 0}
    with pytest.raises(ManifestError, match="sizes: expected sizes above 0 by the name of their"):
        parse(edited)
