"""`--from pythae:FOLDER`: autoencoders of pythae with its own networks, as its `save` writes them.

https://pythae.readthedocs.io
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from aeonnx.bundle import Shape, TensorSpec
from aeonnx.catalog.adapters import SourceOptions
from aeonnx.checkpoint import load_weights
from aeonnx.errors import CheckpointError
from aeonnx.exporting.sources.adapters._shared import class_of, config_of, library, with_parts
from aeonnx.models import Part

__all__ = ["load"]

_PLAIN = ("AE", "RAE_GP", "RAE_L2", "WAE_MMD")
"""Classes whose encoder returns the latent itself."""

_GAUSSIAN = (
    *("Adversarial_AE", "BetaTCVAE", "BetaVAE", "CIWAE", "DisentangledBetaVAE", "FactorVAE"),
    *("HVAE", "INFOVAE_MMD", "IWAE", "MIWAE", "MSSSIM_VAE", "VAE", "VAEGAN", "VAMP"),
)
"""Classes whose encoder returns mean and log variance of the latent that is decoded."""

_QUANTISED = ("VQVAE",)
_STANDARD_NORMAL = {*_GAUSSIAN, "WAE_MMD"} - {"VAMP"}  # a VAMP learns its prior


def load(location: str, options: SourceOptions) -> nn.Module:
    """Read an autoencoder of pythae.

    Args:
        location: folder with `model_config.json` and `model.pt`.
        options: takes no weights and no scaling.

    Raises:
        CheckpointError: there is no such folder, its class is none of those that are known here,
            its networks are pickled, or weights are missing.
        SetupError: pythae is not installed.
    """
    where = f"--from pythae:{location}"
    options.refuse_weights(where)
    options.refuse_scaled(where)
    folder = Path(location)
    config = config_of(folder, "model_config.json", where, "model.save of pythae")
    stated = config.get("name")
    if isinstance(stated, str):
        stated = stated.removesuffix("Config").removesuffix("_")
    name = class_of(stated, (*_GAUSSIAN, *_PLAIN, *_QUANTISED), where)
    for network in ("encoder", "decoder"):
        if not config.get(f"uses_default_{network}", True) or (folder / f"{network}.pkl").exists():
            raise CheckpointError(
                f"{where}: its {network} is a class of your own, stored as a pickle, which may run "
                "code when it is read. Write a function that loads the model and returns a module "
                "with its parts, see docs/export.md, and pass --from module:..."
            )
    if not (folder / "model.pt").is_file():
        raise CheckpointError(f"{where}: expected weights in model.pt, there is no such file")
    model = _built(name, folder / "model_config.json", where)
    load_weights(model, folder / "model.pt")
    if name in _STANDARD_NORMAL:
        vars(model)["prior"] = "standard-normal"
    return with_parts(model, _parts(name, model))


def _built(name: str, config: Path, where: str) -> Any:
    """The model with the networks of pythae and random weights."""
    kinds = library("pythae", where)
    auto = import_module(f"{kinds.__name__}.models.auto_model.auto_config")
    kind = getattr(import_module(f"{kinds.__name__}.models"), name)
    return kind(auto.AutoConfig.from_json_file(str(config)))


class Embedding(nn.Module):
    """x -> z, or mu and logvar.

    Args:
        encoder: of pythae, which returns a dict.
        names: of what it returns.
    """

    def __init__(self, encoder: nn.Module, *names: str) -> None:
        super().__init__()
        self.encoder, self.names = encoder, names

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        found = self.encoder(x)
        values = tuple(found[name] for name in self.names)
        return values if len(values) > 1 else values[0]


class Reconstruction(nn.Module):
    """z -> reconstruction."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = self.decoder(z)["reconstruction"]
        return made


class Codes(nn.Module):
    """x -> codes [N, latent size]: for each value of the latent, the place of the nearest number.

    pythae's VQVAE quantises the values of a latent without places one by one.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder, self.quantizer = model.encoder, model.quantizer

    def forward(self, x: Tensor) -> Tensor:
        z = self.encoder(x)["embedding"]
        values, numbers = z.reshape(-1, 1), _codebook(self.quantizer)
        # The quantizer's own formula, without its losses, so that ties are decided alike.
        squares = values.square().sum(1, keepdim=True) + numbers.square().sum(1)
        places: Tensor = (squares - 2 * values @ numbers.T).argmin(1).reshape(z.shape)
        return places


class FromCodes(nn.Module):
    """codes [N, latent size] -> reconstruction."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.quantizer, self.decoder = model.quantizer, model.decoder

    def forward(self, codes: Tensor) -> Tensor:
        made: Tensor = self.decoder(_codebook(self.quantizer)[codes].flatten(1))["reconstruction"]
        return made


def _codebook(quantizer: Any) -> Tensor:
    stored = quantizer.embeddings  # a buffer if averages are learnt, else a layer
    found: Tensor = stored if isinstance(stored, Tensor) else stored.weight
    return found


def _parts(name: str, model: Any) -> dict[str, Part]:
    shape: Shape = ("batch", *(int(size) for size in model.input_dim))
    # The decoders of pythae end in a sigmoid: they are for data from 0 to 1.
    x = TensorSpec("x", shape, range=(0.0, 1.0), description="data")
    made = TensorSpec("reconstruction", shape, range=(0.0, 1.0), description="decoded data")
    latents = ("batch", int(model.latent_dim))
    if name in _QUANTISED:
        most = float(model.model_config.num_embeddings - 1)
        codes = TensorSpec(
            "codes",
            latents,
            "int64",
            range=(0.0, most),
            description="places in the codebook",
            kind="codes",
        )
        return {
            "encoder": Part(Codes(model), (x,), (codes,)),
            "decoder": Part(FromCodes(model), (codes,), (made,)),
        }
    z = TensorSpec("z", latents, description="latent", kind="latent")
    decoder = Part(Reconstruction(model.decoder), (z,), (made,))
    if name in _PLAIN:
        return {
            "encoder": Part(Embedding(model.encoder, "embedding"), (x,), (z,)),
            "decoder": decoder,
        }
    mu = TensorSpec("mu", latents, description="mean of the latent given the data", kind="latent")
    logvar = TensorSpec("logvar", latents, description="log variance of the latent given the data")
    moments = Embedding(model.encoder, "embedding", "log_covariance")
    return {"encoder": Part(moments, (x,), (mu, logvar)), "decoder": decoder}
