"""The textbook training loop, which the speed benchmark compares with.

    AEONNX_DATA=FOLDER .venv/bin/python benchmarks/textbook.py --model ae [--epochs 1]

torchvision's MNIST with `ToTensor`, a shuffling `DataLoader` and Adam, as in tutorials, without any
code of aeonnx. Prints one line of JSON per epoch.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

__all__ = ["loss_of", "make", "run", "train_epoch"]

Batches = DataLoader[tuple[Tensor, Tensor]]
Loss = Callable[[Any, Tensor], Tensor]

PIXELS = 28 * 28


class Autoencoder(nn.Module):
    """784-128-64-12-3 and its mirror: x [N, 1, 28, 28] -> reconstruction [N, 784] in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(PIXELS, 128),
            nn.ReLU(),
            nn.Linear(128, 64),
            nn.ReLU(),
            nn.Linear(64, 12),
            nn.ReLU(),
            nn.Linear(12, 3),
        )
        self.decoder = nn.Sequential(
            nn.Linear(3, 12),
            nn.ReLU(),
            nn.Linear(12, 64),
            nn.ReLU(),
            nn.Linear(64, 128),
            nn.ReLU(),
            nn.Linear(128, PIXELS),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x.flatten(1)))


class VariationalAutoencoder(nn.Module):
    """784-400-20 and its mirror: x [N, 1, 28, 28] -> [N, 784] in [0, 1], mu, logvar [N, 20]."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(PIXELS, 400)
        self.mu = nn.Linear(400, 20)
        self.logvar = nn.Linear(400, 20)
        self.decoder = nn.Sequential(
            nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, PIXELS), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = functional.relu(self.hidden(x.flatten(1)))
        mu, logvar = self.mu(hidden), self.logvar(hidden)
        std = torch.exp(0.5 * logvar)
        return self.decoder(mu + std * torch.randn_like(std)), mu, logvar


def squared_error(reconstruction: Tensor, x: Tensor) -> Tensor:
    """Mean over the batch's images and pixels."""
    return functional.mse_loss(reconstruction, x.flatten(1))


def negative_elbo(outputs: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
    """Cross-entropy of the pixels plus KL(q(z|x) || N(0, I)), nats, summed over the batch."""
    reconstruction, mu, logvar = outputs
    pixels = functional.binary_cross_entropy(reconstruction, x.flatten(1), reduction="sum")
    return pixels + 0.5 * torch.sum(mu**2 + logvar.exp() - 1 - logvar)


MODELS: dict[str, type[nn.Module]] = {"ae": Autoencoder, "vae": VariationalAutoencoder}
LOSSES: dict[str, Loss] = {"ae": squared_error, "vae": negative_elbo}


def make(model_name: str) -> nn.Module:
    """A fresh `ae` or `vae`."""
    return MODELS[model_name]()


def loss_of(model_name: str) -> Loss:
    """(outputs of the model, x [N, 1, 28, 28]) -> the scalar to minimise."""
    return LOSSES[model_name]


def train_epoch(
    model: nn.Module, loader: Batches, optimizer: torch.optim.Optimizer, loss: Loss
) -> float:
    """One pass over the loader.

    Returns:
        The sum of the batches' losses.
    """
    device = next(model.parameters()).device
    model.train()
    total = 0.0
    for images, _ in loader:
        x = images.to(device)
        optimizer.zero_grad()
        value = loss(model(x), x)
        value.backward()
        optimizer.step()
        total += value.item()
    return total


def run(
    model_name: str,
    root: Path,
    epochs: int,
    batch_size: int = 128,
    seed: int = 0,
    device: str = "cpu",
    workers: int = 0,
) -> list[tuple[float, float]]:
    """Train from scratch on the 60,000 training images.

    Args:
        model_name: `ae` or `vae`.
        root: folder that holds `MNIST/raw`.
        workers: processes that load images; 0 loads them in this one.

    Returns:
        Per epoch: seconds, without reading the files and building the model; and the mean loss
        while training, for `ae` over batches (each a mean over pixels), for `vae` nats per image.
    """
    torch.manual_seed(seed)
    data = MNIST(str(root), train=True, download=False, transform=ToTensor())
    loader = DataLoader(data, batch_size=batch_size, shuffle=True, num_workers=workers)
    model, loss = make(model_name).to(device), loss_of(model_name)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    # `ae` averages within batches; `vae` sums over their images.
    count = len(loader) if model_name == "ae" else len(data)
    results = []
    for _ in range(epochs):
        started = _clock(device)
        total = train_epoch(model, loader, optimizer, loss)
        results.append((_clock(device) - started, total / count))
    return results


def _clock(device: str) -> float:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def main() -> None:
    """Print a line of JSON per epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, default="ae")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=0)
    arguments = parser.parse_args()
    if "AEONNX_DATA" not in os.environ:
        parser.error("set AEONNX_DATA to the folder that holds MNIST/raw")
    root = Path(os.environ["AEONNX_DATA"])
    settings = (arguments.batch_size, arguments.seed, arguments.device, arguments.workers)
    for seconds, loss in run(arguments.model, root, arguments.epochs, *settings):
        line = {"model": arguments.model, "seconds": round(seconds, 3), "loss": round(loss, 6)}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
