"""The training loop: stages, epochs, steps.

Image order and noise are functions of (seed, stage, epoch, step), so that a resumed run continues
exactly where it was stopped, with any number of processes.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from aeonnx.bundle import Training
from aeonnx.checkpoint.history import Epoch, Position
from aeonnx.errors import CheckpointError, Interrupted, TrainingError
from aeonnx.models import Model, build, set_scale
from aeonnx.training.engine.callbacks import Listener
from aeonnx.training.engine.checkpointing import CheckpointManager, Restored
from aeonnx.training.engine.distributed import Ranks
from aeonnx.training.engine.evaluate import evaluate
from aeonnx.training.engine.loader import BatchLoader, fits
from aeonnx.training.engine.odd import odd_metrics
from aeonnx.training.engine.plan import Plan
from aeonnx.training.engine.signals import Stop
from aeonnx.training.engine.step import Learner
from aeonnx.training.engine.tensorboard import Log
from aeonnx.training.random import Noise, Stream, seeded
from aeonnx.training.recipes import Batch
from aeonnx.training.schedule import factor

__all__ = ["Run"]

_STREAK = 5  # consecutive skipped steps at which training fails
_LOOK_STEPS = 16  # steps between reads of numbers on a GPU, each of which synchronises with it


class Run:
    """One training run: the model, its data loaders and its position.

    Args:
        plan: plan of the run.
        device: device to train on.
        ranks: this process among all processes of the run.
        listener: receives the progress.
        log: log for TensorBoard events.
    """

    def __init__(
        self, plan: Plan, device: torch.device, ranks: Ranks, listener: Listener, log: Log
    ) -> None:
        self.plan, self.device, self.ranks = plan, device, ranks
        self.listener, self.log = listener, log
        self.stages = plan.recipe.stages
        splits = (plan.data.train, plan.data.test)
        resident = not plan.options.stream and fits(splits, device)
        self.images, self.test_images = (
            BatchLoader(split, device, resident=resident, workers=plan.options.workers)
            for split in splits
        )
        self.tested_images = self.test_images
        self.odd_images = self.test_images
        if plan.data.odd:
            odd, workers = plan.data.odd.split, plan.options.workers
            resident = resident and fits((*splits, odd), device)
            self.odd_images = BatchLoader(odd, device, resident=resident, workers=workers)
        if plan.data.whole:
            self.tested_images = BatchLoader(plan.data.whole, device, resident=False, workers=0)
        # Not torch.manual_seed, which also seeds GPUs that this run does not use.
        torch.default_generator.manual_seed(plan.seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(plan.seed)
        self.model: Model = build(plan.config).to(device)
        if plan.data.scale is not None:
            set_scale(self.model, **vars(plan.data.scale))
        if ranks.size > 1 and device.type == "cuda":
            synced = nn.SyncBatchNorm.convert_sync_batchnorm(self.model)  # type: ignore[no-untyped-call]
            self.model = synced
        self.noise = torch.Generator(device)
        self.keeper = CheckpointManager(plan, ranks)
        self.history: list[Epoch] = []
        self.position = Position()
        self.best: dict[str, Tensor] = {}

    def learn(self, stop: Stop) -> None:
        """Train all stages; afterwards `model` has the trained weights and is in eval mode.

        Raises:
            TrainingError, OutputError, Interrupted, CheckpointError, UsageError: see `train`.
        """
        restored = self.keeper.resume()
        if restored:
            self.position, self.best = restored.position, restored.best
            self.history = list(restored.history)
        self._announce(restored)
        for index in range(self.position.stage, len(self.stages)):
            self._stage(index, restored, stop)
            restored = None
            if index + 1 < len(self.stages):
                self.position, self.best = Position(stage=index + 1), {}

    def _announce(self, restored: Restored | None) -> None:
        plan, images = self.plan, len(self.plan.train_places)
        done = sum(plan.epochs[: self.position.stage]) + self.position.epoch - 1
        unit = plan.data.train.unit
        self.listener.started(str(self.device), sum(plan.epochs), images, done, unit)
        inputs = math.prod(plan.config.input_shape)
        if plan.config.latent_size >= inputs:
            self.listener.warned(
                f"the latent ({plan.config.latent_size} numbers) is not smaller than the input "
                f"({inputs}): the model may learn to copy; --latent sets it"
            )
        narrow = _narrowest(self.model)
        if narrow < min(plan.config.latent_size, inputs):
            self.listener.warned(
                f"a layer of {narrow} numbers comes before the latent ({plan.config.latent_size}), "
                f"which thus has at most {narrow} degrees of freedom; --hidden sets the widths"
            )
        for text in plan.data.skipped:
            self.listener.warned(f"left out: {text}")
        for text in plan.data.notes:
            self.listener.warned(text)
        if restored:
            for text in restored.notes:
                self.listener.warned(text)
            self.listener.advanced(min(self.position.step * plan.settings.batch_size, images))

    def _stage(self, index: int, restored: Restored | None, stop: Stop) -> None:
        """Train one stage and load the weights to keep into the model."""
        compiled, settings = self.plan.options.compile, self.plan.settings
        learner = Learner(self.model, self.stages[index], settings, self.ranks, compiled=compiled)
        if restored:
            learner.load(restored.tensors, restored.scaler)
        last = index + 1 == len(self.stages)
        while not self._over:
            epoch = self._epoch(learner, stop)
            self.history.append(epoch)
            self._advance(learner, epoch)
            if self._over or self.keeper.due:
                self._save(learner)
                if last:
                    self._save_checkpoint(learner)
            self.log.epoch(len(self.history), epoch)
            self.listener.finished_epoch(epoch)
        if restored and last:
            self._save_checkpoint(learner)  # the existing one may be damaged
        self.model.load_state_dict(self._kept(learner))
        self.model.eval()

    @property
    def _over(self) -> bool:
        """Whether the stage is over: all epochs done, or `patience` epochs without improvement."""
        position, patience = self.position, self.plan.settings.patience
        waited = position.epoch - 1 - position.best_epoch
        impatient = patience is not None and position.best_epoch > 0 and waited >= patience
        return impatient or position.epoch > self.plan.epochs[position.stage]

    def _epoch(self, learner: Learner, stop: Stop) -> Epoch:
        """Train on all images once (or on the rest of a resumed epoch), then evaluate."""
        plan, at = self.plan, self.position
        stage, total_steps = self.stages[at.stage], plan.epochs[at.stage] * plan.steps_per_epoch
        batches = self._batches()
        shares = [places[self.ranks.share(len(places))] for places in batches]
        sums = _Sums(at.sums, self.device)
        began, lr = time.perf_counter() - at.seconds, 0.0
        learner.train_mode()
        for step, (x, labels, noisy) in enumerate(self.images.batches(shares), start=at.step):
            images = len(batches[step - at.step])
            progress = ((at.epoch - 1) * plan.steps_per_epoch + step) / total_steps
            lr = plan.settings.lr * factor(plan.settings.schedule, progress)
            self._seed(Stream.NOISE, at.stage, at.epoch, step)
            noise = stage.draw(
                Noise(self.noise, images, self.ranks.share(images)), tuple(x.shape[1:])
            )
            batch = Batch(x, labels, noise, torch.full((), progress, device=self.device), noisy)
            sums.add(*learner.step(batch, lr, images, stop.signal is not None))
            self.listener.advanced(images)
            self._check_progress(learner, sums, step)
            stopping = self._agreed(stop, sums, step)
            if stopping or self.keeper.due:
                seconds = time.perf_counter() - began
                so_far = {**sums.read(), "stop": 0.0}  # a stop applies to this process only
                self.position = replace(at, step=step + 1, seconds=seconds, sums=so_far)
                self._save(learner)
                began = time.perf_counter() - seconds
            if stopping:
                raise self._interrupted(stop)
        self._check_progress(learner, sums, None)
        seconds = time.perf_counter() - began
        return self._tested(learner, sums.read(), seconds, lr)

    def _batches(self) -> tuple[Tensor, ...]:
        """Image indices of each remaining step of the epoch."""
        plan, at = self.plan, self.position
        generator = seeded(torch.Generator(), plan.seed, Stream.ORDER, at.stage, at.epoch)
        order = torch.randperm(len(plan.train_places), generator=generator)
        places = plan.train_places[order]
        if plan.data.train.endless:
            places = places + (at.epoch - 1) * len(self.images)
        return torch.split(places, plan.settings.batch_size)[at.step :]

    def _seed(self, *words: int) -> torch.Generator:
        return seeded(self.noise, self.plan.seed, *words)

    def _check_progress(self, learner: Learner, sums: _Sums, step: int | None) -> None:
        """Fail if every step is skipped; `step` is None at the end of an epoch.

        Raises:
            TrainingError: too many consecutive steps were skipped, or all steps of the epoch.
        """
        if step is not None and self.device.type != "cpu" and step % _LOOK_STEPS:
            return
        if float(learner.streak) >= _STREAK or (step is None and not sums.read()["images"]):
            raise TrainingError(
                f"loss or gradient was NaN or infinite in {int(learner.streak)} steps in a row, "
                f"up to epoch {self.position.epoch} of {self._stage_name!r}: try a lower --lr than "
                f"{self.plan.settings.lr:g}, --clip 1, or --precision fp32. The last good "
                "checkpoint, if there is one, stays."
            )

    def _agreed(self, stop: Stop, sums: _Sums, step: int) -> bool:
        """Whether to stop; the result is the same in all processes."""
        if self.ranks.size == 1:
            return stop.signal is not None
        if self.device.type != "cpu" and step % _LOOK_STEPS:
            return False
        return sums.read()["stop"] > 0

    def _interrupted(self, stop: Stop) -> Interrupted:
        at = self.position
        return Interrupted(
            f"stopped in epoch {at.epoch} of {self._stage_name!r}, after step {at.step} of "
            f"{self.plan.steps_per_epoch}, and saved in {self.plan.output}: --resume goes on",
            exit_code=stop.exit_code,
        )

    @property
    def _stage_name(self) -> str:
        return self.stages[self.position.stage].name

    def _tested(
        self, learner: Learner, sums: Mapping[str, float], seconds: float, lr: float
    ) -> Epoch:
        """Evaluate after the last step of an epoch, and make the epoch's entry."""
        plan, at, stage = self.plan, self.position, self.stages[self.position.stage]
        means = {
            name: value / sums["images"]
            for name, value in sums.items()
            if name not in ("images", "skipped", "stop")
        }
        noise = self._seed(Stream.TEST_NOISE, at.stage)
        every = torch.arange(len(self.tested_images))
        model = learner.learned
        test = evaluate(model, stage, stage.metrics, self.tested_images, every, noise)
        if plan.data.odd and at.stage + 1 == len(self.stages):
            test |= odd_metrics(model, self.test_images, self.odd_images, plan.data.odd)
        held_out = None
        if len(plan.held_out):
            noise = self._seed(Stream.TEST_NOISE, at.stage)
            losses = evaluate(model, stage, stage.loss, self.images, plan.held_out, noise)
            held_out = losses["loss"]
        # Every loss may be finite and the last step still make the weights diverge.
        for number in (*means.values(), *test.values(), held_out or 0.0):
            if not math.isfinite(number):
                raise TrainingError(
                    f"the loss became {number} in epoch {at.epoch} of {stage.name!r}: try a lower "
                    f"--lr than {plan.settings.lr:g}, or --clip 1. The last good checkpoint, if "
                    "there is one, stays."
                )
        return Epoch(
            stage=stage.name,
            epoch=at.epoch,
            seconds=seconds,
            images_per_s=sums["images"] / seconds,
            lr=lr,
            skipped=int(sums["skipped"]),
            train=means,
            held_out=held_out,
            test=test,
        )

    def _advance(self, learner: Learner, epoch: Epoch) -> None:
        """Advance the position by one epoch, and keep this epoch's weights if they are the best."""
        at = self.position
        self.position = Position(at.stage, at.epoch + 1, best_epoch=at.best_epoch, best=at.best)
        if epoch.held_out is not None and (at.best is None or epoch.held_out < at.best):
            self.position = replace(self.position, best_epoch=epoch.epoch, best=epoch.held_out)
            weights = learner.learned.state_dict()
            self.best = {name: value.clone() for name, value in weights.items()}

    def _kept(self, learner: Learner) -> dict[str, Tensor]:
        """The weights to keep: of the best epoch with early stopping, else the current ones."""
        return self.best or learner.learned.state_dict()

    def _save(self, learner: Learner) -> None:
        """Save the state, marked as finished at the end of the run."""
        finished = self._over and self.position.stage + 1 == len(self.stages)
        self.keeper.save_state(
            self.position, self.history, *learner.state(), self.best, finished=finished
        )

    def _save_checkpoint(self, learner: Learner) -> None:
        self.keeper.save_checkpoint(self._kept(learner), self.history, self.record)

    @property
    def record(self) -> Training:
        """Training record of the kept weights, at the end of an epoch."""
        best = self.plan.record_of_best if self.position.best_epoch else self.plan.record_at
        return best(self.position, self.history)


def _narrowest(model: Model) -> int:
    """The smallest input size of a linear layer in the encoder, if there is one."""
    encoder = model.parts().get("encoder")
    layers = encoder.module.modules() if encoder else ()
    widths = [layer.in_features for layer in layers if isinstance(layer, nn.Linear)]
    return min(widths, default=sys.maxsize)


class _Sums:
    """Running sums, kept on the device: reading them would synchronise with the GPU."""

    def __init__(self, start: Mapping[str, float] | None, device: torch.device) -> None:
        self._names = list(start or {})
        self._values = torch.tensor(list((start or {}).values()), device=device)

    def add(self, names: list[str], values: Tensor) -> None:
        if self._names and names != self._names:
            raise CheckpointError(
                f"the saved sums are of {', '.join(self._names)[:200]}, and this run has "
                f"{', '.join(names)}: train anew with --force"
            )
        self._values = self._values + values if self._names else values
        self._names = names

    def read(self) -> dict[str, float]:
        return dict(zip(self._names, self._values.tolist(), strict=True))
