"""The flow of a learned critic: train d towards log p/q on samples, then move along w(d) grad d."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pushforward.divergences import KL, Divergence, logistic, tilt
from pushforward.dynamics.velocity import Ascent
from pushforward.errors import DataError, UsageError
from pushforward.nets.blocks import class_shares, classes_of, steepest_of
from pushforward.nets.ensemble import Ensemble
from pushforward.nets.lipschitz import certificate
from pushforward.parallel import sharing
from pushforward.training.learner import Learner
from pushforward.training.schedule import constant
from pushforward.types import (
    Conditional,
    Contrast,
    Critic,
    Flow,
    LabelPair,
    Labels,
    Logs,
    Penalty,
    Samples,
    Scalar,
    Schedule,
    Scores,
    able,
)

__all__ = ["CriticFlow", "conditional", "joint", "pooled"]


@dataclass
class CriticFlow:
    """A critic that is trained a little at each call, never from scratch, and whose ascent is the velocity.

    Attributes:
        critic: The critic and how it learns; of an `Ensemble` each member by itself, and its mean score is the critic.
        divergence: Which f-divergence the velocity lowers.
        contrast: The critic's loss on (scores of q, scores of p): `logistic`, or `dual(divergence)`. If none is given,
            that of the divergence, or else `logistic`.
        penalties: Added to the loss; they see the net itself, in full precision.
        penalty_schedule: Updates done -> factor on the penalties.
        every: Penalties are evaluated at every so many updates, and count that many times then.
        steps: Updates of the critic in one call.
        cap: Largest weight of a sample.
        limit: Largest speed of a sample, for a critic whose slope is bounded by a penalty alone.

    Raises:
        UsageError: If the divergence has no flow (total variation).

    References:
        Deep generative learning via variational gradient flow (Gao et al., 2019), arXiv:1901.08469.
    """

    critic: Learner
    divergence: Divergence = KL
    contrast: Contrast | None = None
    penalties: Sequence[Penalty] = ()
    penalty_schedule: Schedule = constant
    every: int = 1
    steps: int = 1
    cap: float = 100.0
    limit: float = math.inf
    logs: Logs = field(default_factory=dict, repr=False)
    certified: bool = field(default=True, init=False, repr=False)

    def __post_init__(self) -> None:
        self.divergence.log_weight(torch.zeros(1))

    @property
    def objective(self) -> Contrast:
        """The contrast that the critic descends."""
        return self.contrast or self.divergence.contrast or logistic

    @property
    def logistic(self) -> bool:
        """Whether that is logistic regression, of which the critic is the log-ratio."""
        return self.objective is logistic

    @property
    def dual(self) -> bool:
        """Whether that is the divergence's own, of which the critic is the first variation."""
        return not self.logistic and self.objective is self.divergence.contrast

    @property
    def fastest(self) -> float | None:
        """A speed that no sample exceeds: the limit, or the slope of a net that is built with one, if no weight acts.

        None where none is known, as under a penalty alone or where a sample's weight depends on its score.
        """
        if self.limit < math.inf:
            return self.limit
        return steepest_of(self.critic.net) if self.divergence.unweighted else None

    def velocity(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Ascent:
        """Train the critic on (q, p) and answer with the velocity of the critic as it now is.

        Args:
            q: Model samples, (n, *event).
            p: Data samples, (m, *event).
            labels: Classes of q (n,) and of p (m,), for a conditional critic.
        """
        for _ in range(self.steps):
            self.learn(q, p, labels)
        return Ascent(self.scores, self.divergence, self.cap, None if labels is None else labels[0], self.limit)

    def learn(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> None:
        """One update of the critic; leaves its numbers in `logs`."""
        if q.shape[1:] != p.shape[1:]:
            raise ValueError(f"q has event shape {tuple(q.shape[1:])} and p {tuple(p.shape[1:])}; they must be equal")
        q, n = q.detach(), len(q)
        both = torch.cat([q, p])
        scores = self.critic(both) if labels is None else self.critic(both, torch.cat(labels))
        loss = self.loss(scores[..., :n], scores[..., n:])
        self.log(loss.detach())
        if factor := self.penalty_factor():
            penalty = self._penalty(q, p, labels)
            self.log(loss.detach(), penalty.detach())
            loss = loss + factor / sharing.world() * penalty
        self.critic.descend(sharing.world() * loss)

    def loss(self, q: Scores, p: Scores) -> Scalar:
        """The contrast of the scores, all processes' where several share the samples; of scores (K, n) the sum."""
        if q.dim() > 1:
            return torch.stack([self.loss(*member) for member in zip(q, p)]).sum()
        return self.objective(sharing.all_scores(q), sharing.all_scores(p))

    def log(self, loss: Scalar, penalty: Scalar | None = None) -> None:
        """Keep the numbers of an update: the loss, what it bounds from below, and the penalty if seen.

        That is "bound", of JS(q‖p), for the logistic loss, and "divergence" for the divergence's own contrast. An
        ensemble's losses and penalties are sums over its members, and their means are kept.
        """
        loss = loss / self.members
        self.logs = {"critic": loss}
        if self.logistic:
            self.logs["bound"] = 2 * math.log(2) - loss
        elif self.dual:
            self.logs["divergence"] = -loss
        if penalty is not None:
            self.logs["penalty"] = penalty / self.members

    @torch.no_grad()
    def value(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Scalar:
        """What the critic as it is says of other samples: minus its loss, a lower bound; of JS for the logistic one.

        Args:
            q: Model samples, (n, *event).
            p: Data samples, (m, *event).
            labels: Classes of q (n,) and of p (m,), for a conditional critic.
        """
        scores = [self.scores(x, None if labels is None else labels[k]) for k, x in enumerate((q, p))]
        return (2 * math.log(2) if self.logistic else 0.0) - self.loss(*scores)

    def diagnose(self, q: Samples, p: Samples, labels: LabelPair | None = None) -> Logs:
        """What the critic is like between q and p.

        Args:
            q: Model samples, (n, *event).
            p: Data samples, (m, *event).
            labels: Classes of q (n,) and of p (m,), for a conditional critic.

        Returns:
            `slope`, the largest |grad d| seen at q and p; `certificate`, a rigorous bound of it, where the net's layers
            are known; `ess`, the effective number of data that mass is carried to, for a dual divergence.
        """
        x = torch.cat([q, p]).detach().requires_grad_(True)
        with torch.enable_grad():
            scores = self.scores(x, None if labels is None else torch.cat(labels))
            (slope,) = torch.autograd.grad(scores.sum(), x)
        logs = {"slope": sharing.largest(slope.flatten(1).square().sum(1).max().sqrt())}
        if self.certified:
            try:
                logs["certificate"] = x.new_tensor(certificate(self.critic.net))
            except UsageError:
                self.certified = False  # a layer without a known norm
        if self.dual and self.divergence.conjugate is not None:
            data = sharing.all_scores(scores.detach()[len(q) :])
            logs["ess"] = 1 / tilt(self.divergence, -data).square().sum()
        return logs

    @property
    def classes(self) -> int:
        """Number of classes of a conditional critic."""
        return classes_of(self.critic.net)

    def penalty_factor(self) -> float:
        """What the next update multiplies the penalties by; 0 where it does not evaluate them."""
        updates = self.critic.updates
        if not self.penalties or updates % self.every:
            return 0.0
        return self.every * self.penalty_schedule(updates)

    def _penalty(self, q: Samples, p: Samples, labels: LabelPair | None) -> Scalar:
        seen = self.penalised(self.critic.net, q, p, labels)
        return self.members * sum((penalty(*seen) for penalty in self.penalties), start=q.new_zeros(()))

    @property
    def members(self) -> int:
        """Number of critics that learn side by side."""
        return self.critic.net.size if isinstance(self.critic.net, Ensemble) else 1

    def penalised(
        self, critic: Critic, q: Samples, p: Samples, labels: LabelPair | None = None
    ) -> tuple[Critic, Samples, Samples]:
        """The critic and the samples as penalties take them: classes are coordinates, and members share no samples.

        Args:
            critic: The net, or what stands for it.
            q: Model samples, (n, *event).
            p: Data samples, (m, *event).
            labels: Classes of q (n,) and of p (m,), for a conditional critic.
        """
        each = isinstance(self.critic.net, Ensemble)
        if each:
            critic = partial(critic, own=True)
        if labels is not None:
            critic, q, p = joint(critic, self.classes, q, p, labels)
        if each:
            q, p = (x.repeat(self.members, *[1] * (x.dim() - 1)) for x in (q, p))
        return critic, q, p

    def scores(self, x: Samples, labels: Labels | None = None) -> Scores:
        """The log-ratio d at x, (n,), with the critic's parameters frozen; differentiable in x."""
        with self.critic.frozen():
            return pooled(self.critic.evaluate(x) if labels is None else self.critic.evaluate(x, labels))

    def velocities(self, x: Samples, labels: Labels | None = None) -> Tensor:
        """Velocities (K, n, *event) of an ensemble's members at x: where they agree, the samples say what it is.

        Under a dual divergence their mean is the velocity of the flow; `std(0)` is their spread.

        Args:
            x: Points, (n, *event).
            labels: Their classes (n,), for a conditional critic.
        """
        k, own = self.members, {"own": True} if isinstance(self.critic.net, Ensemble) else {}

        def critic(x: Samples, *labels: Labels) -> Scores:
            with self.critic.frozen(), self.critic.autocast():
                return self.critic.net(x, *labels, **own).to(x.dtype)

        every = None if labels is None else labels.repeat(k)
        v = Ascent(critic, self.divergence, self.cap, every, self.limit)(x.repeat(k, *[1] * (x.dim() - 1)))
        return v.unflatten(0, (k, -1))

    def snapshot(self) -> dict[str, Tensor]:
        """A copy of what the present velocity depends on, for `replay`."""
        return {name: tensor.detach().clone() for name, tensor in self.critic.net.state_dict().items()}

    def replay(self, state: dict[str, Tensor]) -> Ascent:
        """The velocity at the time of a snapshot.

        Raises:
            DataError: If it is none of this critic's, as a stored one may be.
        """
        own = self.critic.net.state_dict()
        kinds = [{name: (x.shape, x.dtype) for name, x in tensors.items()} for tensors in (state, own)]
        if kinds[0] != kinds[1]:
            raise DataError("a recorded field holds other tensors than its critic: restore the run, or train again")

        def critic(x: Samples, *labels: Labels) -> Scores:
            with self.critic.frozen(), self.critic.autocast():
                return pooled(functional_call(self.critic.net, state, (x, *labels)).to(x.dtype))

        return Ascent(critic, self.divergence, self.cap, limit=self.limit)

    def blend(self, one: dict[str, Tensor], other: dict[str, Tensor], share: float) -> dict[str, Tensor]:
        """A state between two snapshots, whose velocity is nearly between theirs."""
        return blended(self.critic.net, one, other, share)


def blended(net: nn.Module, one: dict[str, Tensor], other: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights of a net between two of its states, and buffers of the later one.

    Between two that are not far apart its output is the mean of theirs, up to the square of what lies between them; a
    bound on the slope that layers have by construction holds for it as for both.
    """
    learned = {name for name, _ in net.named_parameters()}
    return {name: torch.lerp(x, other[name], share) if name in learned else other[name] for name, x in one.items()}


def pooled(scores: Tensor) -> Scores:
    """Scores (n,) as they are, or the mean score of an ensemble, (K, n)."""
    return scores if scores.dim() == 1 else scores.mean(0)


def conditional(flow: Flow) -> Conditional:
    """The flow, if it can take labels: a `CriticFlow`, or one that wraps it and passes them on.

    Raises:
        UsageError: If it cannot.
    """
    if not able(flow, Conditional):
        raise UsageError(f"labels need a CriticFlow with a conditional critic; {type(flow).__name__} takes none")
    return flow


def joint(net: Critic, classes: int, q: Samples, p: Samples, labels: LabelPair) -> tuple[Critic, Samples, Samples]:
    """The critic of samples that carry their class weights as further coordinates, in which it is taken as flat.

    So a penalty needs to know nothing of classes, and a point between two samples lies between their classes too.
    """
    event = q.shape[1:]

    def carry(x: Samples, y: Labels) -> Samples:
        return torch.cat([x.flatten(1), class_shares(y, classes).to(x)], 1)

    def critic(carried: Samples) -> Scores:
        x, y = carried[:, :-classes], carried[:, -classes:].detach()
        return net(x.unflatten(1, event), y)

    return critic, carry(q, labels[0]), carry(p, labels[1])
