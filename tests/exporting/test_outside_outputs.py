"""What modules from elsewhere return, raise and declare: taken, or refused in words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result

import aeonnx as aeonnx_package
from aeonnx.runtime import verify
from tests.exporting.theirs import DECLARED, FORMS, SHAPES, TAKEN, THEIRS, WANTED, WRITTEN


@pytest.fixture
def theirs(aeonnx: Callable[..., Result]) -> Iterator[Callable[..., Result]]:
    """(code, factory) -> the export of what the code makes."""

    def export(code: str, factory: str, *more: str) -> Result:
        Path("theirs.py").write_text(f"{THEIRS}\n{code}\n")
        sys.modules.pop("theirs", None)
        return aeonnx("export", "--from", f"module:theirs:{factory}", "-o", "b", *more)

    yield export
    sys.modules.pop("theirs", None)


@pytest.mark.parametrize("name", TAKEN)
def test_names_and_lists_are_put_in_order(theirs: Callable[..., Result], name: str) -> None:
    code = f"def {name}():\n    return Theirs({TAKEN[name]})"
    result = theirs(code, name, "--part", "encoder")
    assert result.exit_code == 0, result.stderr
    bundle = aeonnx_package.load("b")
    assert verify(bundle).passed
    x = np.random.default_rng(0).random((5, 1, 8, 8), np.float32)
    torch.manual_seed(0)
    expected = torch.nn.Linear(64, 6)(torch.from_numpy(x).flatten(1)).detach().numpy()
    outputs = bundle.run("encoder", x=x)
    np.testing.assert_allclose(outputs["mu"], expected[:, :3], atol=1e-6)
    np.testing.assert_allclose(outputs["logvar"], expected[:, 3:], atol=1e-6)


@pytest.mark.parametrize("name", FORMS)
def test_what_is_no_such_tuple_is_told(theirs: Callable[..., Result], name: str) -> None:
    form, said, exit_code = FORMS[name]
    result = theirs(f"def {name}():\n    return Theirs(lambda mu, logvar: {form})", name)
    assert result.exit_code == exit_code
    assert result.stderr.startswith(f"Error: {WANTED}{said}")
    assert not Path("b").exists()


@pytest.mark.parametrize("name", SHAPES)
def test_other_shapes_and_types_are_told(theirs: Callable[..., Result], name: str) -> None:
    end, said = SHAPES[name]
    result = theirs(f"def {name}():\n    return Theirs(end=lambda y: {end})", name)
    assert result.exit_code == 3
    assert result.stderr.startswith("Error: decoder: reconstruction: expected float32 [")
    assert said in result.stderr
    assert not Path("b").exists()


def test_a_latent_that_is_squeezed_is_wrong_for_one_image(theirs: Callable[..., Result]) -> None:
    form = "lambda mu, logvar: (mu.squeeze(), logvar)"
    result = theirs(f"def squeezed():\n    return Theirs({form})", "squeezed")
    assert result.exit_code == 3
    assert result.stderr == (
        "Error: encoder: mu: expected float32 [1, 3] at batch 1, got float32 [3], though batch 2 "
        "gave the declared shape: .squeeze() drops a batch of 1 too. Name the axis, as in "
        ".squeeze(1). Nothing was written\n"
    )


@pytest.mark.parametrize("name", WRITTEN)
def test_errors_of_their_code_are_told_with_its_line(
    theirs: Callable[..., Result], name: str
) -> None:
    code, said, exit_code = WRITTEN[name]
    result = theirs(code, name)
    assert result.exit_code == exit_code
    lines = Path("theirs.py").read_text().splitlines()
    marks = ("oops", "two rows", "no weights", "raise SystemExit", "model.nothing")
    own = [number for number, line in enumerate(lines, 1) if any(mark in line for mark in marks)]
    assert said.format(line=own[0] if own else "") in result.stderr
    assert "Traceback" not in result.stderr
    assert not Path("b").exists()


@pytest.mark.parametrize("name", DECLARED)
def test_what_no_bundle_can_hold_is_refused_before_a_call(
    theirs: Callable[..., Result], name: str
) -> None:
    spec, said = DECLARED[name]
    code = (
        f"def {name}():\n    model = Theirs(end=lambda y: 1 / 0)\n    honest = model.parts()\n"
        "    first = honest['encoder']\n"
        f"    model.parts = lambda: honest | {{'encoder': Part(first.module, first.inputs, ({spec},"
        ")))}\n    return model"
    ).replace(",)))}", ",))}")
    result = theirs(code, name)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("code", "said", "exit_code"),
    [
        ("import nothing_like_it", "importing theirs raised ModuleNotFoundError: No module", 1),
        ("def build(:", "importing theirs raised SyntaxError: invalid syntax\n  theirs.py:", 1),
        ("del build", "has no attribute 'build'. It has: Encoder, Decoder, Theirs, Latent, Na", 2),
    ],
)
def test_a_module_that_cannot_be_imported_is_told(
    theirs: Callable[..., Result], code: str, said: str, exit_code: int
) -> None:
    result = theirs(code, "build")
    assert result.exit_code == exit_code
    assert said in result.stderr
    assert "Run it from the folder" not in result.stderr


def test_what_their_code_prints_is_no_result(theirs: Callable[..., Result]) -> None:
    code = "def loud():\n    print('made')\n    return Theirs(end=lambda y: print('called'))"
    result = theirs(code, "loud", "--json")
    assert result.stdout == ""
    assert result.stderr.startswith("made\ncalled\nError: decoder: expected its module to return")
