"""What a run writes while it goes on: states to resume from, and the checkpoint to export from."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from aeonnx import checkpoint, files
from aeonnx.errors import CheckpointError
from aeonnx.train import state
from aeonnx.train.history import Epoch, Position, lines_of
from aeonnx.train.plan import Plan, spread
from aeonnx.train.ranks import Ranks

__all__ = ["Keeper", "Restored"]

_TEST_EXAMPLES, _TRAIN_EXAMPLES = 64, 512  # images that go into the checkpoint
_RANDOM, _CUDA_RANDOM, _BEST = "random.cpu", "random.cuda", "best."


@dataclass(frozen=True)
class Restored:
    """What a resumed run goes on from.

    Args:
        position: where it stands.
        history: the epochs that are over.
        tensors: of the learner.
        scaler: numbers of the learner.
        best: weights of the stage's best epoch; empty without early stopping.
        notes: lines about damaged states that were passed over.
    """

    position: Position
    history: tuple[Epoch, ...]
    tensors: dict[str, Tensor]
    scaler: dict[str, float]
    best: dict[str, Tensor]
    notes: tuple[str, ...]


class Keeper:
    """Writes into the folder of a run; only the first of several processes does."""

    def __init__(self, plan: Plan, ranks: Ranks) -> None:
        self.plan, self._ranks = plan, ranks
        # All processes of a torchrun, started again or not, are one run.
        self._run = os.environ["TORCHELASTIC_RUN_ID"] if ranks.size > 1 else uuid.uuid4().hex
        self._saved_at = time.monotonic()
        if ranks.first:
            files.sweep(plan.output)

    @property
    def due(self) -> bool:
        """Whether the last save is long enough ago."""
        since = time.monotonic() - self._saved_at
        return self._ranks.first and since >= self.plan.options.save_seconds

    @cached_property
    def _examples(self) -> checkpoint.Examples:
        test, train = self.plan.data.test.images, self.plan.data.train.images
        places = self.plan.train_places
        return checkpoint.Examples(
            test=test.read(spread(len(test), _TEST_EXAMPLES)),
            train=train.read(places[spread(len(places), _TRAIN_EXAMPLES)]),
        )

    def resume(self) -> Restored | None:
        """The newest whole state, put into torch's global random state too.

        None if this run starts from the beginning.

        Raises:
            CheckpointError: there is nothing to resume, or the data set changed since.
            UsageError: it was trained with other options.
        """
        folder, asked = self.plan.output, self.plan.options.resume
        if not asked and not self._ranks.restarts:
            return None
        try:
            found = state.newest(folder)
        except ValueError as error:
            raise CheckpointError(
                f"nothing to resume in {folder}: {error}. Train anew with --force"
            ) from error
        if found is None or not (asked or found[0].run == self._run):
            if not self._ranks.restarts:
                raise CheckpointError(
                    f"nothing to resume in {folder}: it holds no saved state. Leave --resume out "
                    "to train from the beginning"
                )
            return None
        saved, tensors, notes = found
        self.plan.check_same(saved.identity)
        self.plan.check_longer(saved.position)
        self._run = saved.run
        torch.set_rng_state(tensors.pop(_RANDOM))
        if _CUDA_RANDOM in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors.pop(_CUDA_RANDOM))
        best = {name: value for name, value in tensors.items() if name.startswith(_BEST)}
        return Restored(
            position=saved.position,
            history=saved.epochs,
            tensors={name: value for name, value in tensors.items() if name not in best},
            scaler=saved.scaler,
            best={name.removeprefix(_BEST): value for name, value in best.items()},
            notes=tuple(notes),
        )

    def save_state(
        self,
        position: Position,
        history: Sequence[Epoch],
        tensors: Mapping[str, Tensor],
        scaler: Mapping[str, float],
        best: Mapping[str, Tensor],
    ) -> None:
        """Write all that `resume` needs.

        Raises:
            OutputError: the disk is full or the like; what was saved before stays.
        """
        self._saved_at = time.monotonic()
        if not self._ranks.first:
            return
        random = {_RANDOM: torch.get_rng_state()}
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            random[_CUDA_RANDOM] = torch.cuda.get_rng_state()
        kept = {f"{_BEST}{name}": value for name, value in best.items()}
        saved = state.State(self._run, self.plan.identity(), position, tuple(history), dict(scaler))
        state.save(self.plan.output, saved, {**tensors, **random, **kept})

    def save_checkpoint(
        self, weights: Mapping[str, Tensor], history: Sequence[Epoch], kept: Epoch
    ) -> None:
        """Write what `aeonnx export` reads.

        Args:
            weights: of the model.
            history: the epochs that are over.
            kept: the one that the weights are of.

        Raises:
            OutputError: as above.
        """
        if not self._ranks.first:
            return
        checkpoint.save(
            self.plan.output,
            weights,
            self.plan.config,
            self._examples,
            self.plan.record(history, kept),
            lines_of(history),
        )
