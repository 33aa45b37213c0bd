"""What a run writes while it goes on: states to resume from, and the checkpoint to export from."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from aeonnx import checkpoint
from aeonnx.bundle import Training
from aeonnx.checkpoint import states
from aeonnx.checkpoint.history import Epoch, Position, lines_of
from aeonnx.errors import CheckpointError
from aeonnx.train.engine.distributed import Ranks
from aeonnx.train.engine.plan import Plan, spread
from aeonnx.train.engine.resume import nothing_there

__all__ = ["CheckpointManager", "Restored"]

_TEST_EXAMPLES, _TRAIN_EXAMPLES = 64, 512  # images that go into the checkpoint


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


class CheckpointManager:
    """Writes into the folder of a run; only the first of several processes does."""

    def __init__(self, plan: Plan, ranks: Ranks) -> None:
        self.plan, self._ranks = plan, ranks
        # All processes of a torchrun, started again or not, are one run.
        self._run = os.environ["TORCHELASTIC_RUN_ID"] if ranks.size > 1 else uuid.uuid4().hex
        self._saved_at = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether the last save is long enough ago."""
        since = time.monotonic() - self._saved_at
        return self._ranks.first and since >= self.plan.options.save_seconds

    @cached_property
    def _examples(self) -> bytes:
        test, train = self.plan.data.test.images, self.plan.data.train.images
        places = self.plan.train_places
        return checkpoint.dump_examples(
            checkpoint.Examples(
                test=test.read(spread(len(test), _TEST_EXAMPLES)),
                train=train.read(places[spread(len(places), _TRAIN_EXAMPLES)]),
            )
        )

    def resume(self) -> Restored | None:
        """The newest whole state, put into torch's global random state too.

        None if this run starts from the beginning.

        Raises:
            CheckpointError: there is nothing to resume, or it is of other data.
            UsageError: it was trained with other options.
        """
        folder, asked = self.plan.output, self.plan.options.resume
        if not asked and not self._ranks.restarts:
            return None
        found = states.newest(folder)
        if asked and found is None:
            raise CheckpointError(nothing_there(folder))
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
        """Write all that `resume` needs.

        Raises:
            OutputError: the disk is full or the like; what was saved before stays.
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
        """Write what `aeonnx export` reads.

        Args:
            weights: of the model.
            history: the epochs that are over.
            record: of these weights.

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
            record,
            lines_of(history),
        )


def _set_random_state(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Set torch's, of the CPU and of the GPU if that was used.

    Raises:
        CheckpointError: it is none.
    """
    try:
        torch.set_rng_state(tensors[states.RANDOM])
        if states.CUDA_RANDOM in tensors and torch.cuda.is_available():
            torch.cuda.set_rng_state(tensors[states.CUDA_RANDOM])
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"{path}: its random state is none ({reason}). Train anew with --force"
        ) from error
