"""Write and read what a run saves: states to resume from, and the checkpoint to export."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from aeonnx import checkpoint
from aeonnx.bundle import Training
from aeonnx.checkpoint import states
from aeonnx.checkpoint.history import Epoch, Position, lines_of
from aeonnx.errors import CheckpointError
from aeonnx.models import classifies
from aeonnx.training.data import Images, Split, separate
from aeonnx.training.engine.distributed import Ranks
from aeonnx.training.engine.plan import Plan, evenly_spaced
from aeonnx.training.engine.resume import no_state_message
from aeonnx.training.random import Noise, Stream, seeded
from aeonnx.training.recipes import Batch

__all__ = ["CheckpointManager", "Restored"]

_TEST_EXAMPLES, _TRAIN_EXAMPLES = 64, 512  # images that go into the checkpoint
_WHITE = 255
_EXAMPLE_VALUES = 1 << 23  # most values of these training images, but at least as many as of tests
_NORMAL_EXAMPLES = 1000  # test images whose scores make the thresholds
_NORMAL_BYTES = 1 << 25  # most bytes of them, but at least as many images as of tests


@dataclass(frozen=True)
class Restored:
    """The saved state that a resumed run continues from.

    Args:
        position: position of the run.
        history: entries of the completed epochs.
        tensors: tensors for `Learner.load`.
        scaler: state of the gradient scaler for `Learner.load`.
        best: weights of the stage's best epoch; empty without early stopping.
        notes: one line per damaged state that was skipped.
    """

    position: Position
    history: tuple[Epoch, ...]
    tensors: dict[str, Tensor]
    scaler: dict[str, float]
    best: dict[str, Tensor]
    notes: tuple[str, ...]


class CheckpointManager:
    """Writes states and checkpoints to the folder of a run; only rank 0 writes."""

    def __init__(self, plan: Plan, ranks: Ranks) -> None:
        self.plan, self._ranks = plan, ranks
        # All processes of one torchrun form one run, also after a restart.
        self._run = os.environ["TORCHELASTIC_RUN_ID"] if ranks.size > 1 else uuid.uuid4().hex
        self._saved_at = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether `save_seconds` have passed since the last save."""
        since = time.monotonic() - self._saved_at
        return self._ranks.first and since >= self.plan.options.save_seconds

    @cached_property
    def _examples(self) -> bytes:
        test, train = self.plan.data.test.images, self.plan.data.train.images
        places = self.plan.train_places
        most = max(_TEST_EXAMPLES, min(_TRAIN_EXAMPLES, _EXAMPLE_VALUES // prod(train.shape)))
        chosen = {
            "test": (self.plan.data.test, evenly_spaced(len(test), _TEST_EXAMPLES)),
            "train": (self.plan.data.train, places[evenly_spaced(len(places), most)]),
        }
        if self.plan.data.whole is None:
            chosen["normal"] = (self.plan.data.test, self._normal)
        images = {name: _images(split.images, at) for name, (split, at) in chosen.items()}
        for name in ("test", "train") if self.plan.recipe.given else ():
            images[f"noisy_{name}"] = self._noisy(*chosen[name])
        labels = {}
        if self.plan.config.classes and not classifies(self.plan.config.model):
            labels = {
                f"{name}_labels": split.labels[at]
                for name, (split, at) in chosen.items()
                if split.labels is not None
            }
        return checkpoint.dump_examples(checkpoint.Examples(**images, **labels))

    def _noisy(self, split: Split, places: Tensor) -> Tensor:
        """What the denoiser is given of these images: of their dtype, or float32 if unbounded."""
        recipe = self.plan.recipe
        assert recipe.given is not None  # noqa: S101  # the caller asks
        stored, noisy = separate(split.images.read(places), split.images.shape[0])
        scale = 1 if stored.is_floating_point() else _WHITE
        x = stored.float() / scale
        random = Noise(seeded(torch.Generator(), self.plan.seed, Stream.EXAMPLES), len(x))
        labels = torch.full((len(x),), -1)
        drawn = recipe.stages[-1].draw(random, tuple(x.shape[1:]))
        given = None if noisy is None else noisy.float() / scale
        found = recipe.given(Batch(x, labels, drawn, torch.ones(()), given))
        if recipe.unbounded or scale == 1:
            return found
        return (found * scale).round().to(stored.dtype)

    @property
    def _normal(self) -> Tensor:
        """Indices of the test images for thresholds."""
        images = self.plan.data.test.images
        fit = _NORMAL_BYTES * len(images) // images.nbytes
        most = max(_TEST_EXAMPLES, min(_NORMAL_EXAMPLES, fit))
        return evenly_spaced(len(images), most)

    def resume(self) -> Restored | None:
        """Read the newest undamaged state, and set torch's global random state to the saved one.

        Returns:
            The state; None if this run starts from the beginning.

        Raises:
            CheckpointError: there is nothing to resume, or the data set is different.
            UsageError: the state was trained with other options.
        """
        folder, asked = self.plan.output, self.plan.options.resume
        if not asked and not self._ranks.restarts:
            return None
        found = states.newest(folder)
        if asked and found is None:
            raise CheckpointError(no_state_message(folder))
        if found is None or not (asked or found.state.run == self._run):
            return None
        saved, tensors = found.state, dict(found.tensors)
        self.plan.check_same(saved)
        self._run = saved.run
        _set_random_state(found.path, tensors)
        best = states.under(states.BEST, tensors)
        return Restored(
            position=saved.position,
            history=saved.epochs,
            tensors=tensors,
            scaler=saved.scaler,
            best=best,
            notes=found.notes,
        )

    def save_state(
        self,
        position: Position,
        history: Sequence[Epoch],
        tensors: Mapping[str, Tensor],
        scaler: Mapping[str, float],
        best: Mapping[str, Tensor],
        *,
        finished: bool,
    ) -> None:
        """Write a state that `resume` can read.

        Raises:
            OutputError: writing fails, as when the disk is full; earlier states stay.
        """
        self._saved_at = time.monotonic()
        if not self._ranks.first:
            return
        random = {states.RANDOM: torch.get_rng_state()}
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            random[states.CUDA_RANDOM] = torch.cuda.get_rng_state()
        kept = {f"{states.BEST}{name}": value for name, value in best.items()}
        saved = states.State(
            run=self._run,
            options=self.plan.run_options,
            fingerprint=self.plan.data.fingerprint,
            model=self.plan.config,
            position=position,
            epochs=tuple(history),
            scaler=dict(scaler),
            last=self.plan.record_at(position, history),
            best=self.plan.record_of_best(position, history) if best else None,
            examples=checkpoint.stored("examples.safetensors", self._examples),
            finished=finished,
        )
        states.save(self.plan.output, saved, {**tensors, **random, **kept}, self._examples)

    def save_checkpoint(
        self, weights: Mapping[str, Tensor], history: Sequence[Epoch], record: Training
    ) -> None:
        """Write the checkpoint that `aeonnx export` reads.

        Args:
            weights: state dict of the model.
            history: entries of the completed epochs.
            record: training record of these weights.

        Raises:
            OutputError: writing fails, as when the disk is full; the earlier checkpoint stays.
        """
        if not self._ranks.first:
            return
        checkpoint.save(
            self.plan.output,
            weights,
            self.plan.config,
            self._examples,
            record,
            lines_of(history),
        )


def _images(images: Images, places: Tensor) -> Tensor:
    """These images, without their noisy versions."""
    return separate(images.read(places), images.shape[0])[0].contiguous()


def _set_random_state(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Set torch's random state of the CPU, and of the GPU if it was used.

    Raises:
        CheckpointError: the saved random state is invalid.
    """
    try:
        torch.set_rng_state(tensors[states.RANDOM])
        if states.CUDA_RANDOM in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors[states.CUDA_RANDOM])
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"{path}: its random state is invalid ({reason}). Train anew with --force"
        ) from error
