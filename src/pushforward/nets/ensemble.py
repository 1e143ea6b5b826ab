"""Several equal critics that learn side by side on the same samples: their parameters stacked, one pass for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from pushforward.errors import UsageError
from pushforward.nets.blocks import classes_of, steepest_of

__all__ = ["Ensemble"]


class Ensemble(nn.Module):
    r"""K critics of one shape, (n, *event) -> scores (K, n).

    As the net of a `CriticFlow` each member learns by its own contrast, and the velocity is that of the mean score
    :math:`\tfrac{1}{K}\sum_k d_k`. Members that start from different weights differ where the samples leave the critic
    open: the spread of their slopes is a measure of how well the velocity is known.

    Args:
        members: Nets of equal shape whose state is their parameters alone. They are copied.

    Raises:
        UsageError: If there is no member, if their shapes differ or they have state besides parameters.

    References:
        Simple and scalable predictive uncertainty estimation using deep ensembles (Lakshminarayanan et al., 2017),
        arXiv:1612.01474.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        states = [dict(member.named_parameters()) for member in members]
        if not states or any(_shapes(state) != _shapes(states[0]) for state in states):
            raise UsageError(f"an ensemble of {len(states)} nets: give one or more, all of the same shape")
        if other := set(members[0].state_dict()) - set(states[0]):
            raise UsageError(
                f"members have state besides parameters ({min(other)}): take critics without batch norm, spectral norm "
                "or Fourier features; pushforward.nets.lipschitz has such"
            )
        self.size, self.classes, self.steepest = len(states), classes_of(members[0]), steepest_of(members[0])
        self.stacked = deepcopy(members[0])
        for name in states[0]:
            owner, _, leaf = name.rpartition(".")
            stack = torch.stack([state[name].detach() for state in states])
            setattr(self.stacked.get_submodule(owner), leaf, nn.Parameter(stack))

    def forward(self, x: Tensor, labels: Tensor | None = None, *, own: bool = False) -> Tensor:
        """Scores (K, n) of samples (n, *event), and (n,) or (n, classes) labels if members are conditional.

        Args:
            x: Samples.
            labels: Their classes or class weights.
            own: Whether x holds K blocks of rows, one for each member. Then the scores are of shape (len(x),), so that
                this is a critic like any other, of K times as many samples.
        """

        def score(parameters: Mapping[str, Tensor], *inputs: Tensor) -> Tensor:
            return functional_call(self.stacked, dict(parameters), inputs)

        inputs = (x,) if labels is None else (x, labels)
        if own:
            inputs = tuple(part.unflatten(0, (self.size, -1)) for part in inputs)
        parameters = dict(self.stacked.named_parameters())
        scores = vmap(score, in_dims=(0, *[0 if own else None] * len(inputs)))(parameters, *inputs)
        return scores.flatten() if own else scores

    def members(self) -> Iterator[nn.Module]:
        """Copies of the members, each a net by itself."""
        for k in range(self.size):
            member = deepcopy(self.stacked)
            for name, stack in self.stacked.named_parameters():
                owner, _, leaf = name.rpartition(".")
                setattr(member.get_submodule(owner), leaf, nn.Parameter(stack[k].detach().clone()))
            yield member


def _shapes(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}
