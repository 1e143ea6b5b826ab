"""A learner's tensors, each kind end to end in one that the rest view."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from pushforward.errors import UsageError

if TYPE_CHECKING:
    from pushforward.training.learner import Learner

__all__ = ["Memory", "pieces"]


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
