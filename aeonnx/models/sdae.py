"""`sdae`: the stacked denoising autoencoder with a classifier on top.

Vincent et al. 2010, "Stacked denoising autoencoders: learning useful representations in a deep
network with a local denoising criterion", section 3.6. The encoder layers are f_1 to f_n, the
decoder layers g_n to g_1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from aeonnx.bundle import BATCH, TensorSpec
from aeonnx.models._model import Model, Part
from aeonnx.models._networks import initialise
from aeonnx.models._parts import Decoder, EncodeDecode, image, latent, scorer
from aeonnx.models._registry import ModelConfig, Widths, register

__all__ = ["StackedDenoisingAutoencoder"]


class Classifier(nn.Module):
    """x [N, C, H, W] -> logits [N, K], probabilities [N, K] in [0, 1] whose rows sum to 1.

    Args:
        encoder: x -> z [N, latent_size].
        head: z -> logits.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.head(self.encoder(x))
        return logits, logits.softmax(1)


class StackedDenoisingAutoencoder(Model):
    """Layers f_i with their mirrors g_i, and a linear classifier of the last layer's features.

    The structure is that of Vincent et al. 2010, section 3.6, but hidden features are ReLU outputs,
    0 or more, as in Glorot et al. 2011, "Deep sparse rectifier neural networks", section 4, instead
    of sigmoid outputs in [0, 1].
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        widths = (math.prod(config.input_shape), *config.hidden, config.latent_size)
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Linear(below, above), nn.ReLU()) for below, above in pairwise(widths)
        )
        # g_1 outputs logits of pixels; `Decoder` applies the sigmoid.
        self.decoders = nn.ModuleList(
            nn.Linear(above, below) if i == 0 else nn.Sequential(nn.Linear(above, below), nn.ReLU())
            for i, (below, above) in enumerate(pairwise(widths))
        )
        initialise(self.encoders)
        initialise(self.decoders)
        self.head = nn.Linear(config.latent_size, len(config.classes))

    def features(self, x: Tensor, layers: int) -> Tensor:
        """f_layers(... f_1(x)): [N, C, H, W] in [0, 1] -> [N, width]; for 0 the flattened x."""
        h = x.flatten(1)
        for encoder in self.encoders[:layers]:
            h = encoder(h)
        return h

    def unrolled(self) -> Decoder:
        """g_1(... g_n(z)): the decoder of the whole stack."""
        layers: Sequence[nn.Module] = [*reversed(self.decoders)]
        return Decoder(nn.Sequential(*layers, nn.Unflatten(1, self.config.input_shape)))

    def parts(self) -> dict[str, Part]:
        config = self.config
        x = image("x", config.image_shape, "images")
        z = latent("z", config.latent_size, "features of the last layer")
        reconstruction = image("reconstruction", config.image_shape, "images without their noise")
        kinds = (BATCH, len(config.classes))
        logits = TensorSpec("logits", kinds, description="scores of the classes", kind="vector")
        probabilities = TensorSpec(
            "probabilities",
            kinds,
            range=(0.0, 1.0),
            description="probabilities of the classes",
            kind="vector",
        )
        encoder = nn.Sequential(nn.Flatten(), *self.encoders)
        decoder = self.unrolled()
        whole = Part(EncodeDecode(encoder, decoder), (x,), (reconstruction,))
        return {
            "encoder": Part(encoder, (x,), (z,)),
            "decoder": Part(decoder, (z,), (reconstruction,)),
            "denoiser": whole,
            "scorer": scorer(whole),
            "classifier": Part(Classifier(encoder, self.head), (x,), (logits, probabilities)),
        }


@register(
    "sdae",
    {"mlp": Widths((1000, 1000), 1000)},
    parts=("encoder", "decoder", "denoiser", "scorer", "classifier"),
    classifies=True,
)
def build(config: ModelConfig) -> StackedDenoisingAutoencoder:
    """Layers 784-1000-1000-1000 and their mirror, for 28x28 images and the default widths."""
    return StackedDenoisingAutoencoder(config)
