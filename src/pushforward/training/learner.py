"""A net that learns: the net, its optimiser, its running average, and where it lives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pushforward.parallel.placement import Placement
from pushforward.training.schedule import constant
from pushforward.types import Scalar, Schedule

__all__ = ["Learner", "MakeOptimiser"]

MakeOptimiser: TypeAlias = Callable[[Iterable[nn.Parameter]], Optimizer]


class Learner(nn.Module):
    r"""A net with its optimiser, learning-rate schedule, gradient clipping and exponential moving average.

    Calling it runs the pass that trains (under autocast, and through DistributedDataParallel where there are several
    processes). Velocities and penalties use `net` itself, inside `frozen()` where its parameters need no gradient.

    The average follows :math:`\bar\theta \leftarrow \beta\bar\theta + (1-\beta)\theta` with
    :math:`\beta = \min(\text{ema}, (1+k)/(10+k))` after k updates, so that it forgets the initial weights early.
    Buffers (batch-norm statistics, spectral-norm vectors) are copied, never averaged.

    Args:
        net: What learns.
        optimiser: Parameters -> optimiser, for example `partial(Adam, lr=1e-3, betas=(0.0, 0.99), fused=True)`.
        ema: Decay of the average; None keeps none.
        schedule: Updates done -> factor on every learning rate.
        clip: Largest norm of the gradient; None leaves it alone.
    """

    def __init__(
        self,
        net: nn.Module,
        optimiser: MakeOptimiser,
        *,
        ema: float | None = None,
        schedule: Schedule = constant,
        clip: float | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.average = deepcopy(net).requires_grad_(False).eval() if ema is not None else None
        self.ema, self.schedule, self.clip = ema, schedule, clip
        self.optimiser = optimiser(net.parameters())
        self.updates = 0
        self.placement = Placement()
        self._rates = [group["lr"] for group in self.optimiser.param_groups]
        self._parameters_list: list[Tensor] = list(net.parameters())
        self._averaged_list: list[Tensor] = list(self.average.parameters()) if self.average is not None else []
        self.has_modes = any(isinstance(m, _MODAL) or "parametrizations" in m._modules for m in net.modules())
        self._through: list[nn.Module] = [net]  # in a list, so that what averages gradients is not part of the state

    @property
    def sampler(self) -> nn.Module:
        """The net that answers for the model: the average where there is one."""
        return self.net if self.average is None else self.average

    def place(self, placement: Placement) -> None:
        """Move everything to a device and, with several processes, share gradients between them."""
        self.placement = placement
        self.to(placement.device)
        if placement.device.type == "cuda":
            for parameter in self.parameters():
                if parameter.dim() == 4:
                    parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        through: nn.Module = self.net
        if placement.world > 1:
            if placement.device.type == "cuda":
                self.net = nn.SyncBatchNorm.convert_sync_batchnorm(self.net)
            through = placement.averaging(self.net)
        self._through = [through]

    def autocast(self) -> Any:
        """The precision of forward passes, as a context."""
        if self.placement.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.placement.device.type, dtype=torch.bfloat16)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The pass that trains; answers in float32 or better."""
        with self.autocast():
            out = self._through[0](*inputs)
        return out.float() if out.dtype == torch.bfloat16 else out

    def evaluate(self, *inputs: Tensor) -> Tensor:
        """The net itself, in its precision but past what averages gradients: for velocities and moved samples."""
        with self.autocast():
            out = self.net(*inputs)
        return out.float() if out.dtype == torch.bfloat16 else out

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Within: no gradient reaches the parameters; dropout and spectral iterations are as in evaluation."""
        training = self.net.training
        if self.has_modes and training:
            self.net.eval()
        learned = [parameter for parameter in self._parameters_list if parameter.requires_grad]
        for parameter in learned:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in learned:
                parameter.requires_grad_(True)
            if self.has_modes and training:
                self.net.train()

    def descend(self, loss: Scalar) -> None:
        """One update: gradient, clipping, learning rate, optimiser, average."""
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self._parameters_list, self.clip)
        self.set_rates()
        self.optimiser.step()
        self.updates += 1
        self.follow()

    def set_rates(self) -> float:
        """Apply the schedule to the optimiser and return its factor."""
        factor = self.schedule(self.updates)
        for group, rate in zip(self.optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        return factor

    @property
    def decay(self) -> float:
        """How much the average keeps of itself after the updates done so far."""
        return min(self.ema or 0.0, (1 + self.updates) / (10 + self.updates))

    def follow(self) -> None:
        """Move the average towards the net."""
        if self.average is None:
            return
        with torch.no_grad():
            torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage]
                self._averaged_list, self._parameters_list, 1 - self.decay
            )
            for mine, theirs in zip(self.average.buffers(), self.net.buffers(), strict=True):
                mine.copy_(theirs)

    def weights(self) -> dict[str, Tensor]:
        """Every tensor that says what the net computes, by name: `net.*` and `average.*`."""
        return self.state_dict()

    def resume_state(self) -> dict[str, Any]:
        """What only training needs: the optimiser's state and the number of updates."""
        return {"optimiser": self.optimiser.state_dict(), "updates": self.updates}

    def load_resume_state(self, state: dict[str, Any]) -> None:
        """The inverse of `resume_state`; learning rates stay those of this learner."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.updates = state["updates"]


_MODAL = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase)
