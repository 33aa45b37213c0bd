"""One optimisation step: forward, backward, skip if non-finite, AdamW, moving average."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from aeonnx.checkpoint.states import AVERAGE, AVERAGED, MODEL, OPTIMIZER, under
from aeonnx.errors import CheckpointError
from aeonnx.models import Model
from aeonnx.training.engine.distributed import Ranks
from aeonnx.training.options import Settings
from aeonnx.training.recipes import Batch, Stage

__all__ = ["Learner"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class _Objective(nn.Module):
    """The loss as a module, as `torch.compile` and DistributedDataParallel require."""

    def __init__(self, model: Model, stage: Stage) -> None:
        super().__init__()
        self.model = model
        self.stage = stage

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return self.stage.loss(self.model, batch)


class Learner:
    """Trains a model for one stage of its recipe; modules that the stage does not train are frozen.

    Args:
        model: the model on its device; its weights are updated in place.
        stage: the loss to minimise, and the modules to train.
        settings: settings of the optimisation.
        ranks: this process among those that share each batch.
        compiled: compile the loss with torch.compile.
    """

    def __init__(
        self, model: Model, stage: Stage, settings: Settings, ranks: Ranks, *, compiled: bool
    ) -> None:
        self.model = model
        self._ranks = ranks
        self._settings = settings
        self._modules = list(stage.trained(model))
        model.requires_grad_(False)
        for module in self._modules:
            module.requires_grad_(True)
        self._parameters = [value for value in model.parameters() if value.requires_grad]
        self._device = self._parameters[0].device
        self._buffers = [value for module in self._modules for value in module.buffers()]
        self._optimizer = torch.optim.AdamW(
            self._parameters, lr=settings.lr, weight_decay=settings.weight_decay, fused=True
        )
        fp16 = settings.precision == "fp16"
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=fp16)
        self._average = (
            AveragedModel(model, multi_avg_fn=_moving(settings.ema)) if settings.ema else None
        )
        self._objective: nn.Module = _Objective(model, stage)
        if ranks.size > 1:
            devices = None if self._device.type == "cpu" else [self._device]
            self._objective = DistributedDataParallel(self._objective, devices)
        if compiled:
            self._objective.compile(
                mode="reduce-overhead" if self._device.type == "cuda" else "default"
            )
        self._flags = (torch.zeros((), device=self._device), torch.ones((), device=self._device))
        self.streak = self._flags[False]
        """Number of consecutive skipped steps up to the last step; a scalar on the device."""

    def train_mode(self) -> None:
        """Switch the stage's modules to training mode and all others to eval mode."""
        self.model.eval()
        for module in self._modules:
            module.train()

    @property
    def learned(self) -> Model:
        """The model to evaluate and save: with averaged weights if there are any, in eval mode."""
        model = self.model if self._average is None else cast(Model, self._average.module)
        return model.eval()

    def step(self, batch: Batch, lr: float, images: int, stop: bool) -> tuple[list[str], Tensor]:
        """Train on one batch; a step whose loss or gradient is not finite is skipped.

        Args:
            batch: this process's share.
            lr: learning rate.
            images: size of the whole batch.
            stop: whether this process was asked to stop.

        Returns:
            Names and sums over the whole batch: "images", the loss terms summed over images,
            "skipped" (1 if the step was skipped), and "stop", the number of processes that were
            asked to stop. For a skipped step, "images" and the loss terms are 0.
        """
        before = [value.clone() for value in self._buffers]
        precision = _DTYPES[self._settings.precision]
        with torch.autocast(self._device.type, precision, enabled=precision != torch.float32):
            terms = self._objective(batch)
        weight = self._ranks.weight(images)
        self._optimizer.zero_grad()
        self._scaler.scale(terms["loss"] * weight).backward()
        self._scaler.unscale_(self._optimizer)
        gradients = [value.grad for value in self._parameters if value.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        values = torch.stack([value.detach().float() for value in terms.values()])
        finite = torch.isfinite(values).all()
        if not self._scaler.is_enabled():  # a scaler finds its scale by letting gradients overflow
            finite = finite & torch.isfinite(norm)
        share = self._ranks.own(images)
        mine = torch.cat([values.new_full((1,), share), values * share])
        flags = torch.stack([(~finite).float(), self._flags[stop]])
        sums = self._ranks.add(torch.cat([torch.where(finite, mine, 0), flags]))
        skipped = (sums[-2] > 0).float()
        if self._settings.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, self._settings.clip, norm)
        self._update(lr, skipped)
        for value, old in zip(self._buffers, before, strict=True):
            value.copy_(torch.where(skipped > 0, old, value))
        if self._average is not None:
            self._average.update_parameters(self.model)
        self.streak = (self.streak + 1) * skipped
        sums = torch.cat([sums[:-2] * (1 - skipped), skipped[None], sums[-1:]])
        return ["images", *terms, "skipped", "stop"], sums

    def _update(self, lr: float, skipped: Tensor) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        if self._scaler.is_enabled():
            self._scaler.step(self._optimizer)
            self._scaler.update()
            return
        # As GradScaler does: with found_inf set, the fused kernel leaves weights and moments
        # unchanged, without the CPU having to read a number from the GPU.
        self._optimizer.found_inf = skipped  # type: ignore[attr-defined]
        self._optimizer.step()

    def state(self) -> tuple[dict[str, Tensor], dict[str, float]]:
        """The state that a resumed stage needs: tensors, and the state of the gradient scaler."""
        tensors = {f"{MODEL}{name}": value for name, value in self.model.state_dict().items()}
        for number, entry in self._optimizer.state_dict()["state"].items():
            tensors |= {f"{OPTIMIZER}{number}.{name}": value for name, value in entry.items()}
        if self._average is not None:
            average = self._average.state_dict()
            tensors[AVERAGED] = average.pop("n_averaged")
            tensors |= {AVERAGE + k.removeprefix("module."): v for k, v in average.items()}
        return tensors, {name: float(value) for name, value in self._scaler.state_dict().items()}

    def load(self, tensors: Mapping[str, Tensor], scaler: Mapping[str, float]) -> None:
        """Restore what `state` returned.

        Raises:
            CheckpointError: it does not fit this stage.
        """
        average = {f"module.{name}": value for name, value in under(AVERAGE, tensors).items()}
        if bool(average) != (self._average is not None):
            has, uses = ("an", "none") if average else ("no", "one")
            raise CheckpointError(
                f"the saved state has {has} average of the weights, and the run keeps {uses}"
            )
        if scaler.keys() != self._scaler.state_dict().keys():
            raise CheckpointError(
                "the saved state of the fp16 scaler has other entries than the run's"
            )
        moments = self._moments(tensors)
        try:
            self.model.load_state_dict(under(MODEL, tensors))
            whole = self._optimizer.state_dict()
            self._optimizer.load_state_dict({**whole, "state": moments})
            if self._average is not None:
                averaged = {**average, "n_averaged": tensors[AVERAGED]}
                self._average.load_state_dict(averaged)
        except RuntimeError as error:
            raise CheckpointError(f"the saved state does not fit the model: {error}") from error
        if scaler:
            counts = {"growth_interval", "_growth_tracker"}
            self._scaler.load_state_dict(
                {name: int(value) if name in counts else value for name, value in scaler.items()}
            )

    def _moments(self, tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
        """AdamW's step counts and moments, by index of the parameter.

        Raises:
            CheckpointError: they do not fit the trained parameters.
        """
        found = under(OPTIMIZER, tensors)
        wanted: dict[str, torch.Size] = {}
        for place, parameter in enumerate(self._parameters):
            wanted[f"{place}.step"] = torch.Size()
            for moment in ("exp_avg", "exp_avg_sq"):
                wanted[f"{place}.{moment}"] = parameter.shape
        fits = {name: value.shape for name, value in found.items()} == wanted
        # Before the first step, there are no moments.
        if found and not (fits and all(v.dtype == torch.float32 for v in found.values())):
            raise CheckpointError("the saved moments of AdamW do not fit the trained parameters")
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in found.items():
            number, _, key = name.partition(".")
            moments.setdefault(int(number), {})[key] = value
        return moments


def _moving(decay: float) -> Callable[..., None]:
    """Update function of an exponential moving average with a warm-up of the decay.

    The decay of step n is min(decay, (1 + n) / (10 + n)): without warm-up, the initial weights
    would dominate a young average.
    """

    @torch.no_grad()
    def update(average: Sequence[Tensor], weights: Sequence[Tensor], count: Tensor) -> None:
        share = 1 - ((1 + count) / (10 + count)).clamp(max=decay)
        for kept, new in zip(average, weights, strict=True):
            kept.lerp_(new, share)

    return update
