"""A learner's tensors at hand: each kind end to end in one that the rest view, or as Adam's kernel takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer

from pushforward.errors import UsageError

if TYPE_CHECKING:
    from pushforward.training.learner import Learner

__all__ = ["Fused", "Memory", "pieces"]


@dataclass(frozen=True)
class Memory:
    """A learner's parameters, Adam's moments and counts, and the average's parameters, each end to end in one tensor.

    Attributes:
        theta: Parameters, (size,).
        first: First moments, (size,).
        second: Second moments, (size,).
        counts: Updates done, one number for each parameter.
        average: The average's parameters, (size,), if there is an average.
        buffers: The net's buffers, as they are.
        moments: Each parameter with the first moment that its optimiser holds, to tell whether it still does.
        optimiser: The optimiser; a learner whose net changed has another one.
    """

    theta: Tensor
    first: Tensor
    second: Tensor
    counts: Tensor
    average: list[Tensor]
    buffers: list[Tensor]
    moments: Sequence[tuple[Tensor, Tensor]]
    optimiser: Optimizer

    @staticmethod
    def of(learner: Learner) -> Memory:
        """Lay a learner out; its net, average and optimiser then hold views.

        Raises:
            UsageError: If some parameters learned longer than others, so that one correction does not fit all.
        """
        learner.checked()
        parameters, state = list(learner.net.parameters()), learner.optimiser.state
        blank = {parameter: state.get(parameter) or _blank(parameter) for parameter in parameters}
        ages = {int(blank[parameter]["step"]) for parameter in parameters}
        if len(ages) > 1:
            raise UsageError(
                f"compile=True takes parameters that learned equally long, not {min(ages)} and {max(ages)} updates, as "
                "those of a net that grew: use compile=False"
            )
        theta = _flat(parameters)
        first, second = (_flat([blank[p][name] for p in parameters]) for name in ("exp_avg", "exp_avg_sq"))
        counts = torch.tensor([float(blank[p]["step"]) for p in parameters], device=theta.device)
        average = [] if learner.average is None else [_flat(learner.average.parameters())]
        moments = pieces(first, parameters)
        for parameter, piece, m, v, count in zip(
            parameters, pieces(theta, parameters), moments, pieces(second, parameters), counts
        ):
            parameter.data = piece
            state[parameter] = {"step": count, "exp_avg": m, "exp_avg_sq": v}
        if learner.average is not None:
            for parameter, piece in zip(learner.average.parameters(), pieces(average[0], parameters)):
                parameter.data = piece
        held = list(zip(parameters, moments, strict=True))
        return Memory(theta, first, second, counts, average, list(learner.net.buffers()), held, learner.optimiser)

    @property
    def tensors(self) -> list[Tensor]:
        """All of it, in the order in which the graph takes it."""
        return [self.theta, self.first, self.second, self.counts, *self.average, *self.buffers]

    def serves(self, learner: Learner) -> bool:
        """Whether net and optimiser still hold this memory: a loaded optimiser, another device or net ends that."""
        state, start = learner.optimiser.state, self.moments[0][0].data_ptr()
        return (
            learner.optimiser is self.optimiser
            and learner.whole
            and start == self.theta.data_ptr()
            and all(state[p].get("exp_avg") is moment for p, moment in self.moments)
        )


def _blank(parameter: Tensor) -> dict[str, Any]:
    return {"step": 0.0, "exp_avg": torch.zeros_like(parameter), "exp_avg_sq": torch.zeros_like(parameter)}


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def pieces(flat: Tensor, like: Iterable[Tensor]) -> list[Tensor]:
    """The inverse of `_flat`, as views."""
    like = list(like)
    return [piece.view(t.shape) for piece, t in zip(flat.split([t.numel() for t in like]), like)]


PLAIN = ("amsgrad", "maximize", "differentiable", "capturable")


@dataclass(frozen=True)
class Fused:
    """Adam's moments and counts, looked up once: an update without what `Optimizer.step` does around it.

    That costs a small net more than the update. The numbers are torch's own, bit for bit: it is the same kernel on the
    same tensors.

    Attributes:
        optimiser: The optimiser that holds them.
        parameters: What it trains.
        moments: Their first moments, second moments and counts.
    """

    optimiser: Optimizer
    parameters: list[Tensor]
    moments: tuple[list[Tensor], list[Tensor], list[Tensor]]

    @staticmethod
    def of(optimiser: Optimizer) -> Fused | None:
        """The update of an optimiser that made one already; None if it is not plain fused Adam in one group."""
        if type(optimiser) not in (Adam, AdamW) or len(optimiser.param_groups) != 1 or _watched(optimiser):
            return None
        (group,) = optimiser.param_groups
        if not group["fused"] or any(group[option] for option in PLAIN) or isinstance(group["lr"], Tensor):
            return None
        parameters: list[Tensor] = list(group["params"])
        state = [optimiser.state.get(parameter) for parameter in parameters]
        if not all(state) or len({(x.device, x.dtype) for x in parameters}) != 1:
            return None
        names = "exp_avg", "exp_avg_sq", "step"
        first, second, counts = ([known[name] for known in state if known] for name in names)
        return Fused(optimiser, parameters, (first, second, counts))

    def serves(self, optimiser: Optimizer) -> bool:
        """Whether the optimiser still holds these moments: a loaded state, another net or a flat layout ends that."""
        state, (first, _, counts) = optimiser.state, self.moments
        return optimiser is self.optimiser and all(
            state[p].get("exp_avg") is m and state[p]["step"] is n for p, m, n in zip(self.parameters, first, counts)
        )

    def step(self) -> bool:
        """One update by the gradients that the parameters hold; False, and none, where one has no gradient."""
        group, (first, second, counts) = self.optimiser.param_groups[0], self.moments
        slopes = [x.grad for x in self.parameters if x.grad is not None and x.grad.dtype == x.dtype]
        if len(slopes) < len(self.parameters):
            return False
        (beta1, beta2), none = group["betas"], list[Tensor]()
        decoupled = group.get("decoupled_weight_decay")
        update = torch._fused_adamw_ if decoupled else torch._fused_adam_  # pyright: ignore[reportPrivateImportUsage]
        with torch.no_grad():
            torch._foreach_add_(counts, 1)  # pyright: ignore[reportPrivateImportUsage]
            update(
                self.parameters, slopes, first, second, none, counts, amsgrad=False, maximize=False,
                lr=float(group["lr"]), beta1=float(beta1),
                beta2=float(beta2), weight_decay=group["weight_decay"], eps=group["eps"],
            )  # fmt: skip
        return True


def _watched(optimiser: Optimizer) -> bool:
    """Whether somebody wants to be told of a step, or put another one in its place, as torch's schedules do."""
    hooks = optimiser._optimizer_step_pre_hooks, optimiser._optimizer_step_post_hooks
    return "step" in vars(optimiser) or any(hooks)
