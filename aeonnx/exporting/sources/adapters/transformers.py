"""`--from transformers:FOLDER`: audio codecs and masked autoencoders of transformers.

https://huggingface.co/docs/transformers/model_doc/encodec
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aeonnx.bundle import Axis, TensorSpec
from aeonnx.catalog.adapters import SourceOptions
from aeonnx.errors import CheckpointError
from aeonnx.exporting.sources.adapters._pretrained import pretrained
from aeonnx.exporting.sources.adapters._shared import (
    class_of,
    config_of,
    library,
    with_parts,
)
from aeonnx.models import Part

__all__ = ["load"]

_PREPROCESSING = "preprocessor_config.json"


def load(location: str, options: SourceOptions) -> nn.Module:
    """Read a codec or a masked autoencoder of transformers.

    Args:
        location: folder with `config.json` and weights, as `save_pretrained` writes it.
        options: takes no weights and no scaled latents.

    Raises:
        CheckpointError: there is no such folder, its class is none of those that are known here,
            or its weights are missing or damaged.
        SetupError: transformers is not installed.
    """
    where = f"--from transformers:{location}"
    options.refuse_weights(where)
    options.refuse_scaled(where)
    folder = Path(location)
    config = config_of(folder, "config.json", where, "save_pretrained of transformers")
    architectures = config.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else None
    name = class_of(first, _PARTS, where)
    if not [*folder.glob("model*.safetensors")]:
        # A pickle may run code when it is read.
        raise CheckpointError(
            f"{where}: expected weights in model.safetensors, there are none: save the model with "
            "save_pretrained, which writes them"
        )
    transformers = library("transformers", where)
    options_of = {"dtype": torch.float32, "attn_implementation": "eager"}
    model = pretrained(transformers, name, folder, where, "model", **options_of)
    parts = _PARTS[name](model)
    if (folder / _PREPROCESSING).exists():
        config = config_of(folder, _PREPROCESSING, where, "save_pretrained of transformers")
        parts = {key: _with_normalisation(part, config) for key, part in parts.items()}
    return with_parts(model, parts)


def _with_normalisation(part: Part, config: Mapping[str, Any]) -> Part:
    """Say of images how they are normalised, if the configuration of their preprocessing does."""
    mean, std = config.get("image_mean"), config.get("image_std")
    if mean is None or std is None or not config.get("do_normalize", True):
        return part
    text = f"(images in [0, 1] - {mean}) / {std}, of each channel"
    inputs, outputs = (
        tuple(replace(spec, description=text) if spec.kind == "image" else spec for spec in specs)
        for specs in (part.inputs, part.outputs)
    )
    return replace(part, inputs=inputs, outputs=outputs)


class CodecEncoder(nn.Module):
    """x [N, channels, time] -> codes [N, codebooks, frames].

    Args:
        encoder: x -> embeddings [N, features, frames].
        quantizer: embeddings -> codes [codebooks, N, frames].
    """

    def __init__(self, encoder: nn.Module, quantizer: nn.Module) -> None:
        super().__init__()
        self.encoder, self.quantizer = encoder, quantizer

    def forward(self, x: Tensor) -> Tensor:
        codes: Tensor = self.quantizer.encode(_first(self.encoder(x)))  # type: ignore[operator]
        return codes.transpose(0, 1)


class CodecDecoder(nn.Module):
    """codes [N, codebooks, frames] -> reconstruction [N, channels, time]."""

    def __init__(self, quantizer: nn.Module, decoder: nn.Module, codebooks_first: bool) -> None:
        super().__init__()
        self.quantizer, self.decoder = quantizer, decoder
        self.codebooks_first = codebooks_first

    def forward(self, codes: Tensor) -> Tensor:
        given = codes.transpose(0, 1) if self.codebooks_first else codes
        return _first(self.decoder(self.quantizer.decode(given)))  # type: ignore[operator]


class DacEncode(nn.Module):
    """x [N, 1, time] -> codes [N, codebooks, frames]."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder, self.quantizer = model.encoder, model.quantizer

    def forward(self, x: Tensor) -> Tensor:
        codes: Tensor = self.quantizer(self.encoder(x))[1]
        return codes


class DacDecode(nn.Module):
    """codes [N, codebooks, frames] -> reconstruction [N, 1, time]."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.decoder, self.quantizer = model.decoder, model.quantizer

    def forward(self, codes: Tensor) -> Tensor:
        made: Tensor = self.decoder(self.quantizer.from_codes(codes)[0])
        return made


def _first(result: Any) -> Tensor:
    """The tensor of a result, which may be a library's record of several."""
    found: Tensor = result if isinstance(result, Tensor) else result[0]
    return found


def _encodec(model: Any) -> dict[str, Part]:
    config = model.config
    _whole_numbers(model)
    parts = _codec(
        model,
        math.prod(config.upsampling_ratios),
        config.audio_channels,
        config.num_quantizers,
        (
            CodecEncoder(model.encoder, model.quantizer),
            CodecDecoder(model.quantizer, model.decoder, codebooks_first=True),
        ),
        longest=config.chunk_length,
    )
    return _with_loudness(parts) if config.normalize else parts


class LoudnessEncoder(nn.Module):
    """x -> codes of the sound at loudness 1, and its loudness [N, 1]."""

    def __init__(self, codes: nn.Module) -> None:
        super().__init__()
        self.codes = codes

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        loudness = x.mean(1).square().mean(1, keepdim=True).sqrt() + 1e-8
        return self.codes(x / loudness.unsqueeze(2)), loudness


class LoudnessDecoder(nn.Module):
    """codes, loudness -> reconstruction."""

    def __init__(self, sound: nn.Module) -> None:
        super().__init__()
        self.sound = sound

    def forward(self, codes: Tensor, loudness: Tensor) -> Tensor:
        made: Tensor = self.sound(codes) * loudness.unsqueeze(2)
        return made


def _with_loudness(parts: Mapping[str, Part]) -> dict[str, Part]:
    """Parts of the Encodec of 48 kHz, which encodes sound at one loudness, and that beside it."""
    loudness = TensorSpec(
        "loudness", ("batch", 1), range=(0.0, 1.0 + 1e-6), description="root of the mean square"
    )
    encoder, decoder = parts["encoder"], parts["decoder"]
    return {
        "encoder": replace(
            encoder,
            module=LoudnessEncoder(encoder.module),
            outputs=(*encoder.outputs, loudness),
        ),
        "decoder": replace(
            decoder, module=LoudnessDecoder(decoder.module), inputs=(*decoder.inputs, loudness)
        ),
    }


def _mimi(model: Any) -> dict[str, Part]:
    config = model.config
    _whole_numbers(model)
    _keep_codebooks(model)
    for part in (model.encoder, model.decoder):  # without memory of what came before
        part.config.use_streaming = part.config.use_cache = False
    return _codec(
        model,
        math.prod(config.upsampling_ratios) * model.encoder.downsample.conv.stride[0],
        config.audio_channels,
        config.num_quantizers,
        (
            CodecEncoder(model.encoder, model.quantizer),
            CodecDecoder(model.quantizer, model.decoder, codebooks_first=False),
        ),
    )


def _dac(model: Any) -> dict[str, Part]:
    config = model.config
    return _codec(
        model,
        int(config.hop_length),
        1,
        config.n_codebooks,
        (DacEncode(model), DacDecode(model)),
    )


def _codec(
    model: Any,
    hop: int,
    channels: int,
    books: int,
    modules: tuple[nn.Module, nn.Module],
    longest: int | None = None,
) -> dict[str, Part]:
    """Parts of a codec: `hop` samples of sound are one place of each of `books` codebooks.

    Args:
        model: of transformers.
        hop, channels, books: as above.
        modules: encoder and decoder.
        longest: most samples of sound; None for any.
    """
    config = model.config
    # Padding by reflection repeats fewer places than there are.
    least = 1 + max((module.padding_total for module in _padded(model)), default=2)
    shape = ("batch", channels, "time")
    rate = float(config.sampling_rate)
    x = TensorSpec("x", shape, range=(-1.0, 1.0), description="sound", kind="signal", rate=rate)
    codes = TensorSpec(
        "codes",
        ("batch", books, f"time/{hop}"),
        "int64",
        range=(0.0, config.codebook_size - 1.0),
        description="places in the codebooks, the coarsest first",
        kind="codes",
    )
    made = TensorSpec(
        "reconstruction", shape, description="reconstructed sound", kind="signal", rate=rate
    )
    most = longest // hop * hop if longest else None
    usual = (2 * least + 1) * hop
    axes = {"time": Axis(hop, min=least * hop, max=most)}
    sizes = {"time": min(usual, most or usual)}
    return {
        "encoder": Part(modules[0], (x,), (codes,), axes=axes, sizes=sizes),
        "decoder": Part(modules[1], (codes,), (made,), axes=axes, sizes=sizes),
    }


def _whole_numbers(model: nn.Module) -> None:
    """Let paddings depend on lengths and not on data.

    The convolutions keep stride and kernel size as tensors, so that what is padded is a tensor's
    value, which no graph can follow. A length is a multiple of the hop here: nothing is added.
    """
    for module in _padded(model):
        stride = module.conv.stride[0]
        kernel = (module.conv.kernel_size[0] - 1) * module.conv.dilation[0] + 1
        total, right = kernel - stride, (kernel - stride) // 2
        module._buffers.clear()
        vars(module).update(stride=stride, kernel_size=kernel, padding_total=total)
        vars(module).update(padding_right=right, padding_left=total - right)
        vars(module)["_get_extra_padding_for_conv1d"] = lambda _: 0


def _padded(model: nn.Module) -> list[Any]:
    """The convolutions that pad what they take."""
    return [item for item in model.modules() if hasattr(item, "_get_extra_padding_for_conv1d")]


def _keep_codebooks(model: nn.Module) -> None:
    """Compute the codebooks of Mimi now, which it does when it is first called."""
    books: list[Any] = [module for module in model.modules() if hasattr(module, "embed_sum")]
    for module in books:
        vars(module)["_embed"] = None
        made = module.embed.detach().clone()
        vars(module).pop("_embed")
        module.register_buffer("_embed", made, persistent=False)


class MaskedEncoder(nn.Module):
    """x, noise -> z, ids_restore, mask: patches with the largest noise are masked.

    He et al. 2022, "Masked autoencoders are scalable vision learners".
    """

    def __init__(self, vit: Any) -> None:
        super().__init__()
        self.vit = vit

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = self.vit(x, noise=noise)
        return found.last_hidden_state, found.ids_restore, found.mask


class MaskedDecoder(nn.Module):
    """z, ids_restore -> reconstruction [N, C, H, W]."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.decoder = model.decoder
        self.patch, self.channels = model.config.patch_size, model.config.num_channels
        self.side = model.config.image_size // model.config.patch_size

    def forward(self, z: Tensor, ids_restore: Tensor) -> Tensor:
        patches = self.decoder(z, ids_restore).logits
        placed = patches.unflatten(2, (self.patch, self.patch, self.channels))
        placed = placed.unflatten(1, (self.side, self.side))  # N, h, w, p, q, C
        image: Tensor = placed.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
        return image


def _masked(model: Any) -> dict[str, Part]:
    config = model.config
    size, channels = config.image_size, config.num_channels
    patches = (size // config.patch_size) ** 2
    kept = int(patches * (1 - config.mask_ratio)) + 1  # and the class token
    shape = ("batch", channels, size, size)
    x = TensorSpec("x", shape, description="normalised images", kind="image")
    noise = TensorSpec(
        "noise", ("batch", patches), range=(0.0, 1.0), description="a number for each patch"
    )
    z = TensorSpec(
        "z", ("batch", kept, config.hidden_size), description="latent of the patches that are seen",
        kind="latent",
    )  # fmt: skip
    places = TensorSpec(
        "ids_restore",
        ("batch", patches),
        "int64",
        range=(0.0, patches - 1.0),
        description="place of each patch after shuffling",
    )
    mask = TensorSpec(
        "mask", ("batch", patches), range=(0.0, 1.0), description="1: masked", kind="mask"
    )
    made = TensorSpec("reconstruction", shape, description="normalised images", kind="image")
    return {
        "encoder": Part(MaskedEncoder(model.vit), (x, noise), (z, places, mask)),
        "decoder": Part(MaskedDecoder(model), (z, places), (made,)),
    }


_PARTS: Mapping[str, Callable[[Any], dict[str, Part]]] = {
    "EncodecModel": _encodec,
    "DacModel": _dac,
    "MimiModel": _mimi,
    "ViTMAEForPreTraining": _masked,
}
"""Parts of a model by the name of its class."""
