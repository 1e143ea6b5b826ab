"""The update of torch's fused Adam by its kernel alone, on tensors that are looked up once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer

__all__ = ["Fused"]

OFF = ("amsgrad", "maximize", "differentiable", "capturable")
"""Options of Adam that must be off: the update below knows none of them."""


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
        if not group["fused"] or any(group[option] for option in OFF) or isinstance(group["lr"], Tensor):
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
