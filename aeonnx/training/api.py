"""Train a model: from options to the folder of a run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from aeonnx import checkpoint
from aeonnx._util import files
from aeonnx.bundle import Training
from aeonnx.checkpoint.history import Epoch
from aeonnx.training.engine.baseline import baseline_warning
from aeonnx.training.engine.callbacks import Listener, Logged, Silent
from aeonnx.training.engine.device import resolve_device
from aeonnx.training.engine.distributed import (
    Ranks,
    main_process_first,
    process_group,
    ranks_from_environment,
)
from aeonnx.training.engine.generated import features_of, generated_metrics
from aeonnx.training.engine.loop import Run
from aeonnx.training.engine.plan import Plan, make_plan
from aeonnx.training.engine.resume import refuse_existing_run
from aeonnx.training.engine.signals import on_signals
from aeonnx.training.engine.tensorboard import FOLDER, logging_to
from aeonnx.training.options import TrainOptions, check
from aeonnx.training.random import Stream, seeded
from aeonnx.training.report import plots

__all__ = ["Trained", "train"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """The result of a run.

    Args:
        output: the run's folder.
        training: the training record in the checkpoint.
        epochs: one entry per epoch, of all stages.
        files: files of the checkpoint, and pictures.
        model: name of the model.
        warnings: warnings about the model, such as that it is worse than the baseline.
        first: whether this process wrote the files; of several processes, only rank 0 does.
    """

    output: Path
    training: Training
    epochs: tuple[Epoch, ...]
    files: tuple[Path, ...]
    model: str
    warnings: tuple[str, ...] = ()
    first: bool = True


def train(options: TrainOptions, listener: Listener | None = None) -> Trained:
    """Train a model and write a checkpoint, metrics and pictures to the run's folder.

    Under torchrun, every process calls it with the same options, and rank 0 writes.

    Args:
        options: what to train, on which data, and how.
        listener: is notified of progress; None for no notifications.

    Raises:
        UsageError: an option is unknown, out of range, or differs from that of the resumed run.
        OutputError: the folder already has a run, finished or not, and neither `force` nor `resume`
            is set; another process is training into it; or the disk is full.
        DataError: the data set is missing, damaged, empty, or lacks labels that the model needs.
        CheckpointError: there is nothing to resume, or the data set changed since.
        SetupError: the device or an optional package is missing.
        TrainingError: loss or gradient was NaN or infinite for several steps, or a metric was.
        Interrupted: SIGINT, SIGTERM or SIGHUP arrived.

    After any of these errors, the last good checkpoint is still there.
    """
    check(options)
    device = resolve_device(options.device, ranks_from_environment().local_rank)
    cuda = [device] if device.type == "cuda" else []
    with process_group(device) as ranks, torch.random.fork_rng(cuda):
        told: Listener = Logged(listener or Silent()) if ranks.first else Silent()
        with main_process_first(ranks):
            plan = make_plan(options, ranks)
        events = plan.output / FOLDER if options.tensorboard and ranks.first else None
        with logging_to(events) as log, _locked(plan, ranks):
            run = Run(plan, device, ranks, told, log)
            judge = options.features and features_of(options.features, plan, run.model, device)
            with on_signals(told.warned) as stop:
                run.learn(stop)
            pictures: tuple[Path, ...] = ()
            written: tuple[Path, ...] = ()
            problem = None
            record = run.record
            if ranks.first:
                if judge:
                    noise = seeded(run.noise, plan.seed, Stream.GENERATED)
                    found = generated_metrics(run.model, judge, run.images, run.test_images, noise)
                    record = replace(record, metrics={**record.metrics, **found})
                    run.keeper.save_checkpoint(run.model.state_dict(), run.history, record)
                problem = baseline_warning(
                    plan, run.model, run.images, run.test_images, run.record.metrics
                )
                if problem:
                    told.warned(problem)
                noise = seeded(run.noise, plan.seed, Stream.PICTURE_NOISE)
                pictures = plots.draw(plan, run.model, run.test_images, run.history, noise)
                log.pictures(pictures, run.history)
                written = checkpoint.files_of(plan.output)
                _LOG.info("wrote %s", plan.output)
        return Trained(
            output=plan.output,
            training=record,
            epochs=tuple(run.history),
            files=(*written, *pictures),
            model=plan.config.model,
            warnings=(problem,) if problem else (),
            first=ranks.first,
        )


@contextmanager
def _locked(plan: Plan, ranks: Ranks) -> Iterator[None]:
    """Lock the run's folder against other trainings; only rank 0 takes the lock."""
    if not ranks.first:
        yield
        return
    with files.locked(plan.output, f"aeonnx train -m {plan.config.model}"):
        files.sweep(plan.output)
        if not plan.options.resume and not ranks.restarts:
            refuse_existing_run(plan.options)  # another training may have finished meanwhile
        yield
