"""`aeonnx.export(name, encoder=..., example=x)`: modules as they are, which stay as they are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result
from torch import Tensor, nn

import aeonnx as library
from aeonnx.errors import AeonnxError, GraphError, InputError, ModuleError

Cli = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("few_rows")


class Centred(nn.Module):
    """Keeps the mean of its first batch, in one of the places where modules keep such."""

    def __init__(self, place: str = "attribute") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.place = place
        self.mean: Tensor | None = None
        self.kept = nn.Buffer(torch.zeros(1))
        self.ready = nn.Buffer(torch.zeros((), dtype=torch.bool))
        self.late: nn.Module | None = None
        self.layer = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        if self.place == "attribute":
            self.mean = x.mean() if self.mean is None else self.mean
            return self.layer(x - self.mean)  # type: ignore[no-any-return]
        if self.place == "buffer":
            if not self.ready:
                self.kept.copy_(x.mean())
                self.ready.fill_(True)
            return self.layer(x - self.kept)  # type: ignore[no-any-return]
        if self.late is None:
            self.late = nn.Linear(6, 6)
        return self.late(self.layer(x))  # type: ignore[no-any-return]


class Batched(nn.Module):
    """With state that training changes: running statistics, dropout, a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.layers = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Dropout(0.5))
        self.layers[0].eval()

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(self.frozen(x))
        return made


def seen(module: nn.Module) -> dict[str, object]:
    """All that an export could change in a module."""
    found: dict[str, object] = {}
    for name, child in module.named_modules():
        found[name] = (child.training, {k: repr(v) for k, v in vars(child).items()})
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        found[f"{name}!"] = (id(value), value.requires_grad, value.tolist())
    return found


X = torch.rand(4, 6, generator=torch.Generator().manual_seed(0)) + 1


@pytest.mark.parametrize("place", ["attribute", "buffer", "layer"])
def test_state_of_the_first_batch_is_refused_and_not_kept(place: str, tmp_path: Path) -> None:
    module = Centred(place).train()
    before = seen(module)
    with pytest.raises(GraphError, match="a graph must be a function of its inputs, and this mod"):
        library.export("f", tmp_path / "b", denoiser=module, example=X)
    assert not list(tmp_path.iterdir())
    assert seen(module) == before


def test_lazy_weights_are_refused_and_stay_lazy(tmp_path: Path) -> None:
    module = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(GraphError, match=r"^encoder: 0.weight has no shape yet \(a Lazy module"):
        library.export("f", tmp_path / "b", encoder=module, example=X)
    assert isinstance(module[0].weight, nn.UninitializedParameter)


def test_the_modules_of_the_caller_stay_as_they_are(tmp_path: Path) -> None:
    module, x = Batched(), X.clone()
    before = seen(module)
    library.export("f", tmp_path / "b", denoiser=module, example=x)
    assert seen(module) == before
    assert torch.equal(x, X)
    module(X).sum().backward()  # it can be trained further
    assert module.layers[0].weight.grad is not None


def test_what_a_module_writes_into_the_example_is_lost(tmp_path: Path) -> None:
    class Inplace(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mul_(2).tanh()

    x = X.clone()
    library.export("f", tmp_path / "b", denoiser=Inplace(), example=x)
    assert torch.equal(x, X)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 6)),
        nn.Linear(5, 6),  # fails on the example
    ],
)
def test_also_after_an_error(module: nn.Module, tmp_path: Path) -> None:
    before = seen(module)
    with pytest.raises(AeonnxError):
        library.export("f", tmp_path / "b", denoiser=module, example=X, range=(0, 0.5))
    assert seen(module) == before


def test_a_module_without_copies_is_named(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(6, 6))
    vars(module[0])["lock"] = threading.Lock()
    with pytest.raises(
        ModuleError,
        match="^aeonnx.export: graphs are made from copies of its module, and copy.deepcopy fails "
        "at denoiser.0.lock, a lock: .* Keep it outside of the module, or give its class a method",
    ):
        library.export("f", tmp_path / "b", denoiser=module, example=X)


class FromCodes(nn.Module):
    """codes [n, 4] -> [n, 6], by one of the ways to look places up."""

    def __init__(self, way: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.way = way
        self.table = nn.Embedding(64, 6)

    def forward(self, codes: Tensor) -> Tensor:
        if self.way == "embedding":
            found = self.table(codes)
        elif self.way == "index":
            found = self.table.weight[codes]
        elif self.way == "offset":
            found = self.table(codes + torch.tensor([0, 1, 2, 3]))
        elif self.way == "one hot":
            found = nn.functional.one_hot(codes, 64).float() @ self.table.weight
        else:
            found = codes.float().unsqueeze(2) * self.table.weight[:1]
        made: Tensor = found.mean(1)
        return made


@pytest.mark.parametrize(
    ("way", "last"),
    [("embedding", 63), ("index", 63), ("offset", 60), ("one hot", 63), ("numbers", None)],
)
def test_whole_numbers_go_as_far_as_the_table(way: str, last: int | None, tmp_path: Path) -> None:
    module = FromCodes(way)
    codes = torch.tensor([[0, 5, 58, 3], [1, 2, 3, 4]])
    library.export("vq", tmp_path / "b", decoder=module, example=codes)
    bundle = library.load(tmp_path / "b")
    (spec,) = bundle.inputs("decoder")
    assert (spec.dtype, spec.kind) == ("int64", "codes")
    assert spec.range == (None if last is None else (0, last))
    given = torch.full((2, 4), last or 500)
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(bundle.decode(given.numpy())), module(given))
    if last is not None:
        with pytest.raises(InputError, match=rf"in \[0, {last}\], got values from {last + 1} to"):
            bundle.decode(given.numpy() + 1)


class ToCodes(nn.Module):
    """x [n, 6] -> codes [n, 6]."""

    def forward(self, x: Tensor) -> Tensor:
        return (x * 63.99).clamp(0, 63).long()


def test_codes_of_other_inputs_are_decoded(tmp_path: Path) -> None:
    decoder = FromCodes("embedding")
    example = X - 1.1
    library.export("vq", tmp_path / "b", encoder=ToCodes(), decoder=decoder, example=example)
    x = torch.tensor([[0.0, 0.1, 0.3, 0.5, 0.9, 1.0]])
    with torch.no_grad():
        expected = decoder(ToCodes()(x))
    found = library.load(tmp_path / "b").reconstruct(x.numpy())
    torch.testing.assert_close(torch.from_numpy(found), expected)


class Labelled(nn.Module):
    """x [n, 6], label [n] -> [n, 6]."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Embedding(10, 6)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        made: Tensor = x + self.classes(label)
        return made


def test_labels_beyond_those_of_the_example(tmp_path: Path) -> None:
    module = Labelled()
    example = (X, torch.tensor([0, 1, 2, 3]))
    library.export("labelled", tmp_path / "b", denoiser=module, example=example)
    bundle = library.load(tmp_path / "b")
    assert [spec.range for spec in bundle.inputs("denoiser")] == [None, (0, 9)]
    with torch.no_grad():
        expected = module(X, torch.full((4,), 5)).numpy()
    assert abs(bundle.denoise(X.numpy(), label=5) - expected).max() < 1e-6
