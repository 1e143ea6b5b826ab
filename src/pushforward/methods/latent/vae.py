r"""A variational autoencoder whose prior, posterior and likelihood are any laws, trained by bounds from log densities.

    x ~ p;  z = T(m(x) + s(x) e; c(x))                      # S codes of each row
    l = log p(x|z) + log p(z) - log q(z|x)
    (phi, theta) <- (phi, theta) + rate * grad E l           # or log mean exp l, over the S codes
    samples:  z ~ p(z);  x ~ p(x|z)

References:
    Auto-encoding variational Bayes (Kingma & Welling, 2014), arXiv:1312.6114;
    Improved variational inference with inverse autoregressive flow (Kingma et al., 2016), arXiv:1606.04934;
    Variational lossy autoencoder (Chen et al., 2017), arXiv:1611.02731, for flow priors;
    Importance weighted autoencoders (Burda et al., 2016), arXiv:1509.00519.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, cast

import torch
from torch import Tensor

from pushforward.densities.likelihoods.normal import Normal
from pushforward.methods.latent.bounds import bounds
from pushforward.nets.variational.model import ACTIVE, LatentModel
from pushforward.objectives.elbo import Parts, Weighting, elbo, importance_weighted
from pushforward.randomness import even, turned
from pushforward.settings.options import Between
from pushforward.terms import Term
from pushforward.training.learner import Learner
from pushforward.types import Batch, Labels, Logs, Randomness, Samples, Scores, unpack

__all__ = ["VAE", "Bound", "FromPosterior", "VAESampling"]

Bound = Literal["elbo", "importance", "doubly"]
WARM = 0.5  # share of the steps from which on a posterior that tells nothing is said to have collapsed


@dataclass(frozen=True)
class VAESampling:
    """How samples are made of codes, and likelihoods found.

    Attributes:
        output: draw from p(x|z), or its mean, which has less noise in it than data have.
        draws: Codes of each row behind a likelihood; it is a bound from below, which closes as they grow.
    """

    output: Literal["draw", "mean"] = "draw"
    draws: Annotated[int, Between(1, 1_000_000)] = 128


@dataclass
class VAE:
    r"""p(z) p(x|z) and q(z|x), which learn together; a codec too, whose codes are where the middle of q goes.

    Attributes:
        model: A `LatentModel`, and how it learns.
        rng: Where codes are drawn from.
        weighting: What is descended in place of the bound, where it is not the bound itself.
        draws: S, codes of each row in a step.
        bound: elbo, the mean of l; importance, the logarithm of the mean of its exponential; doubly, the same with the
            doubly reparametrised gradient for the encoder, which does not lose its signal as S grows.
        binarise: Whether rows are grey levels in [-1, 1] of which black or white is drawn anew in every batch, white
            with the chance of its intensity.
        project: Applied to samples at their end, for example `clamp(-1, 1)`.
        sampling: How samples and likelihoods are found.
    """

    model: Learner
    rng: Randomness
    weighting: Weighting = field(default_factory=Weighting)
    draws: int = 1
    bound: Bound = "elbo"
    binarise: bool = False
    project: Callable[[Samples], Samples] | None = None
    sampling: VAESampling = field(default_factory=VAESampling)

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """One update for each yield.

        Args:
            batches: Endless batches of data (n, *event), or of (data, labels) where the model is given classes.
            start: Number of steps done before.
        """
        for batch in batches:
            yield self.step(*unpack(batch))

    def step(self, x: Samples, labels: Labels | None = None) -> Logs:
        """One update on a batch."""
        if self.binarise:
            x = drawn_levels(x, self.rng)
        e = self.rng.normal(len(x), self.draws, self._net.code).to(x).transpose(0, 1)
        parts = Parts(*self.model(x, e, self.bound == "doubly", labels))
        step = self.model.updates
        loss = self.weighting.loss(parts, step) if self.bound == "elbo" else -importance_weighted(parts).mean()
        self.model.descend(loss)
        found = Parts(*(part.detach() for part in (parts.likelihood, parts.prior, parts.posterior)))
        return {
            "elbo": elbo(found).mean(),
            "distortion": -found.likelihood.mean(),
            "rate": found.divergence.mean(),
            "active": (self._net.varies > ACTIVE).sum().float(),
        }

    @property
    def _net(self) -> LatentModel:
        """The net that learns."""
        return cast(LatentModel, self.model.net)

    @property
    def _average(self) -> LatentModel:
        """The net that answers."""
        return cast(LatentModel, self.model.sampler)

    @torch.no_grad()
    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """n samples (n, *event), as `sampling` says."""
        rng = rng or self.rng
        return self.rendered(self.prior_codes(n, rng), rng if self.sampling.output == "draw" else None, labels)

    def rendered(self, z: Tensor, rng: Randomness | None, labels: Labels | None = None) -> Samples:
        """Samples (n, *event) of codes: drawn from p(x|z), or its means where there is no rng."""
        x = self._average.samples(z, rng, labels)
        return x if self.project is None else self.project(x)

    @property
    def density_rows(self) -> int:
        """1,000 rows of each kind."""
        return 1_000

    def log_prob(self, x: Samples, labels: Labels | None = None) -> Scores:
        r"""A bound from below of the log probability of each row, (n,), in nats: :math:`\log\tfrac1K\sum_k e^{l_k}`.

        K is that of `sampling`; the number of a row depends on no other row. Of discretised rows it bounds the
        probability of their levels, and of a continuum the density with respect to model units.

        Args:
            x: Rows (n, *event).
            labels: Classes (n,), where the model is given them; else not looked at.
        """
        return self.bounded(x, labels)[0]

    def bounded(self, x: Samples, labels: Labels | None = None) -> tuple[Scores, Scores]:
        """The bound of `log_prob`, and how many of the K codes of a row count in it, float64 (n,) each.

        Of grey rows, where they are learned in black and white, it is of one drawing, which is a function of the row.
        """
        if self.binarise:
            x = drawn_by(x, turned(even(1, x[:1].numel()), x)[0].view_as(x).to(x))
        return bounds(self._average, x, self.sampling.draws, labels)

    @property
    def discrete(self) -> bool:
        """Whether its likelihood is one of levels."""
        return not isinstance(self._net.likelihood, Normal)

    @property
    def protocol(self) -> str:
        """Which bound, and what of a row it takes as given."""
        given = "" if self._net.given is None else f"; {self._net.given.said}"
        return f"a bound from below by {self.sampling.draws:,} codes of a row{given}"

    @property
    def budget(self) -> str:
        """The number of updates."""
        return f"variational autoencoder, {self.model.updates:,} updates"

    def encode(self, x: Samples, labels: Labels | None = None) -> Tensor:
        """Codes (n, code) of samples, of classes (n,) where they are given: where the middle of q goes."""
        return self._average.codes(x, labels=labels)

    def decode(self, z: Tensor, labels: Labels | None = None) -> Samples:
        """Samples (n, *event) of codes: the means of p(x|z), of what is usual where something is given."""
        return self.rendered(z, None, labels)

    @torch.no_grad()
    def prior_codes(self, n: int, rng: Randomness) -> Tensor:
        """n draws of p(z), (n, code)."""
        return self._average.prior.sample(n, rng).to(self._net.varies)

    @torch.no_grad()
    def log_prior(self, z: Tensor) -> Scores:
        """log p(z), (n,), of codes (n, code)."""
        return self._average.prior.log_prob(z)

    @torch.no_grad()
    def base(self, x: Samples, labels: Labels | None = None) -> tuple[Tensor, Tensor]:
        """Means of z0 and logarithms of its deviations, (n, code) each."""
        base, _ = self._average.encoder(x, self._average.given_of(x, labels))
        return base.mean, base.log_deviation

    @torch.no_grad()
    def inferred(self, x: Samples, e: Tensor, labels: Labels | None = None) -> tuple[Tensor, Scores, Scores]:
        """The codes (n, code) that standard normal e (n, code) stand for, log p(x|z) and log q(z|x)."""
        net = self._average
        given = net.given_of(x, labels)
        base, context = net.encoder(x, given)
        z, own = net.drawn(base, e[None], context)
        return z[0], net.likelihood_of(x, z, given)[0], own[0]

    @property
    def posterior_flow(self) -> Literal["none", "common", "own"]:
        """Whether q(z|x) has a flow, and whether that is told of the row."""
        posterior = self._net.posterior
        if posterior is None:
            return "none"
        return "own" if posterior.flow.context else "common"

    def remarks(self, steps: int) -> Sequence[str]:
        """That the posterior has collapsed, where it has: looked at twenty times in a run, from its middle on."""
        done = self.model.updates
        if done < WARM * steps or done % max(1, steps // 20) or bool((self._net.varies > ACTIVE).any()):
            return ()
        return (
            f"the posterior has collapsed: none of the {self._net.code} codes varies from row to row (variance of its "
            f"middle below {ACTIVE:g}), so that p(x|z) alone models the data: warm beta up, give free bits, or take a "
            "likelihood that says less by itself",
        )

    @property
    def terms(self) -> Mapping[str, Term]:
        """What its numbers are called."""
        return TERMS


@dataclass
class FromPosterior:
    """A variational autoencoder as a codec whose codes are drawn from q(z|x): their law is the aggregated posterior.

    Any method that runs on such codes learns the prior that loses nothing to the data's own codes.

    Attributes:
        vae: What learns, encodes and decodes.
        rng: Where codes are drawn from.
    """

    vae: VAE
    rng: Randomness

    @property
    def budget(self) -> str:
        """That of the autoencoder."""
        return self.vae.budget

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """Steps of the autoencoder."""
        return self.vae.learn(batches, start)

    def encode(self, x: Samples) -> Tensor:
        """A code of each sample, drawn anew at every call."""
        net = cast(LatentModel, self.vae.model.sampler)
        return net.codes(x, self.rng.normal(len(x), net.code).to(x))

    def decode(self, z: Tensor) -> Samples:
        """Samples of codes, as the settings of the autoencoder say: drawn from p(x|z), or its means."""
        return self.vae.rendered(z, self.rng if self.vae.sampling.output == "draw" else None)

    def base(self, x: Samples, labels: Labels | None = None) -> tuple[Tensor, Tensor]:
        """As of the autoencoder; its prior is passed on by nothing, for it is not the one that is learned."""
        return self.vae.base(x, labels)

    def inferred(self, x: Samples, e: Tensor, labels: Labels | None = None) -> tuple[Tensor, Scores, Scores]:
        """As of the autoencoder."""
        return self.vae.inferred(x, e, labels)

    @property
    def posterior_flow(self) -> Literal["none", "common", "own"]:
        """As of the autoencoder."""
        return self.vae.posterior_flow

    @property
    def discrete(self) -> bool:
        """As of the autoencoder."""
        return self.vae.discrete


def drawn_levels(x: Samples, rng: Randomness) -> Samples:
    """Black and white, -1 and 1, drawn by grey levels in [-1, 1]: white with the chance (x + 1)/2."""
    return drawn_by(x, rng.uniform(*x.shape).to(x))


def drawn_by(x: Samples, u: Tensor) -> Samples:
    """The same by uniform numbers of that shape."""
    return torch.where(2 * u - 1 < x, 1.0, -1.0).to(x)


TERMS = {
    "elbo": Term(
        "Evidence lower bound",
        "Mean over rows of log p(x|z) + log p(z) - log q(z|x), a bound of the log likelihood from below, in nats, on "
        "the batches that it learns from. Healthy: rising, then level.",
        live=True),
    "distortion": Term(
        "Distortion",
        "Mean of -log p(x|z), in nats a row: what the codes leave unsaid of the data. Healthy: falling. The bound is "
        "minus this and the rate.",
        beside=("rate",),
        line="distortion"),
    "rate": Term(
        "Rate",
        "Mean of log q(z|x) - log p(z), in nats a row: what the codes say of a row, and what the prior makes of them. "
        "Healthy: well above 0; near 0 the posterior has collapsed.",
        live=True, line="rate"),
    "active": Term(
        "Active codes",
        f"Codes whose middle varies by more than {ACTIVE:g} over the data, on average over a hundred steps. Healthy: "
        "most of them; 0 is a collapsed posterior.",
    ),
}  # fmt: skip
