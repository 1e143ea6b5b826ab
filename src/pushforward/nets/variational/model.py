r"""A latent-variable model p(z) p(x|z) with what answers for its codes, q(z|x): the three log densities of a bound."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from pushforward.densities.diagonal import DiagonalNormal
from pushforward.densities.flows import FlowPosterior, NormalisingFlow
from pushforward.densities.laws import Law
from pushforward.densities.likelihoods.likelihood import Likelihood
from pushforward.errors import UsageError
from pushforward.types import Labels, Randomness, Samples, Scores

__all__ = ["ACTIVE", "Encoder", "Given", "LatentModel"]

ACTIVE = 0.01  # variance over data of a code's middle, from which on it tells something
HALF = (torch.bfloat16, torch.float16)
WIDEST = 7.0  # of log deviations: an encoder that has not learned yet answers with anything


class Encoder(nn.Module):
    """What a net says of the codes of a row: the law of z0, and what a flow is told.

    Args:
        net: (n, *event) -> (n, 2 code + context): means, logarithms of deviations, and the context; called with what
            is given of the rows, (n, given), beside them where something is.
        code: Numbers of z.
    """

    def __init__(self, net: nn.Module, code: int) -> None:
        super().__init__()
        self.net, self.code = net, code

    def forward(self, x: Samples, given: Tensor | None = None) -> tuple[DiagonalNormal, Tensor | None]:
        """The law of z0 of each row, (n, code), and the context (n, context), or None."""
        told = self.net(x) if given is None else self.net(x, given)
        told = told.float() if told.dtype in HALF else told
        mean, log_deviation, context = told.tensor_split((self.code, 2 * self.code), 1)
        base = DiagonalNormal(mean, log_deviation.clamp(-WIDEST, WIDEST))
        return base, context if context.shape[1] else None

    def base(self, x: Samples) -> DiagonalNormal:
        """The law of z0 alone."""
        return self(x)[0]


class Given(Protocol):
    """What a model is given of a row and does not have to explain, as how deep it was counted and in which batch."""

    @property
    def said(self) -> str:
        """What that is, in words."""
        ...

    def of(self, x: Samples, labels: Labels | None) -> Tensor:
        r"""That of rows (n, \*event), whose classes are (n,), as numbers (n, given)."""
        ...

    def drawn(self, n: int, rng: Randomness | None, labels: Labels | None) -> Tensor:
        """That of n rows yet to be made, (n, given): drawn, or what is usual where there is no rng."""
        ...


class LatentModel(nn.Module):
    r"""An encoder, a decoder and the laws around them.

    .. math::
        p(x) = \int p(z)\, p(x|z)\,dz, \qquad z_0 = m(x) + s(x)\,\varepsilon, \quad z = T(z_0; c(x)) \sim q(z|x)

    with T the identity where there is no flow; all of it given what `given` says of a row. `varies` follows the
    variance over rows of each number of m in the passes that train, a mean over the last hundred.

    Args:
        encoder: m, s and c.
        decoder: (n, code) -> (n, outputs, *event), called with what is given of the rows where something is.
        likelihood: p(x|z), given what the decoder says.
        prior: p(z).
        flow: T, whose context is what the encoder has to say beside m and s; None for a diagonal posterior.
        given: What both nets are told of a row beside x and z; None for nothing, and classes are not looked at.

    Raises:
        UsageError: If the flow is of codes of another size.
    """

    varies: Tensor
    passes: Tensor

    def __init__(
        self,
        encoder: Encoder,
        decoder: nn.Module,
        likelihood: Likelihood,
        prior: Law,
        flow: NormalisingFlow | None = None,
        given: Given | None = None,
    ) -> None:
        super().__init__()
        code = encoder.code
        if flow is not None and flow.dim != code:
            raise UsageError(f"a flow of {flow.dim} numbers for codes of {code}: give one of {code}")
        self.encoder, self.decoder, self.code = encoder, decoder, code
        self.likelihood, self.prior, self.given = likelihood, prior, given
        self.posterior = None if flow is None else FlowPosterior(flow)
        self.register_buffer("varies", torch.zeros(code))
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x: Samples, e: Tensor, doubly: bool = False, labels: Labels | None = None) -> Tensor:
        r"""log p(x|z), log p(z) and log q(z|x) of S codes of each sample, (3, S, n), in nats.

        Args:
            x: Samples (n, \*event).
            e: Standard normal numbers (S, n, code).
            doubly: Whether the encoder's gradient is the doubly reparametrised one of the importance-weighted bound:
                what reaches z is then multiplied by the share of its weight, and log q takes no gradient but by z.
            labels: Classes (n,), where they are given.
        """
        given = self.given_of(x, labels)
        base, context = self.encoder(x, given)
        if self.training and torch.is_grad_enabled():
            self._follow(base.mean)
        if doubly:
            z = base.at(e)
            return self._doubly(x, z, DiagonalNormal(base.mean.detach(), base.log_deviation.detach()), given)
        z, own = self.drawn(base, e, context)
        return torch.stack((self.likelihood_of(x, z, given), self.prior.log_prob(z), own))

    def given_of(self, x: Samples, labels: Labels | None) -> Tensor | None:
        """What is given of rows, (n, given); None where nothing is."""
        return None if self.given is None else self.given.of(x, labels)

    @torch.no_grad()
    def _follow(self, middle: Tensor) -> None:
        self.passes += 1
        self.varies.lerp_(middle.var(0, correction=0).to(self.varies), self.passes.reciprocal().clamp_min(0.01))

    def _doubly(self, x: Samples, z: Tensor, fixed: DiagonalNormal, given: Tensor | None) -> Tensor:
        if self.posterior is not None:
            raise UsageError("a doubly reparametrised gradient of a flow goes back through it: use importance")
        parts = torch.stack((self.likelihood_of(x, z, given), self.prior.log_prob(z), fixed.log_prob(z)))
        share = (parts[0] + parts[1] - parts[2]).detach().softmax(0)
        if z.requires_grad:
            z.register_hook(lambda slope: slope * share[..., None])
        return parts

    def drawn(self, base: DiagonalNormal, e: Tensor, context: Tensor | None) -> tuple[Tensor, Scores]:
        """z (S, n, code) that standard normal e stand for, and log q(z|x), (S, n)."""
        if self.posterior is None:
            z = base.at(e)
            return z, base.log_prob(z)
        told = None if context is None else context.expand(len(e), *context.shape)
        return self.posterior.draw(base, e, told)

    def likelihood_of(self, x: Samples, z: Tensor, given: Tensor | None = None) -> Scores:
        """log p(x|z), (S, n), for x (n, *event), z (S, n, code) and what is given, (n, given)."""
        many = x.expand(len(z), *x.shape).flatten(0, 1)
        known = None if given is None else given.expand(len(z), *given.shape).flatten(0, 1)
        return self.likelihood.log_prob(many, self.decoded(z.flatten(0, 1), known)).view(z.shape[:2])

    def decoded(self, z: Tensor, given: Tensor | None = None) -> Tensor:
        """What the decoder says of codes (n, code) and what is given, (n, given), in no less than float32."""
        theta = self.decoder(z) if given is None else self.decoder(z, given)
        return theta.float() if theta.dtype in HALF else theta

    def codes(self, x: Samples, e: Tensor | None = None, labels: Labels | None = None) -> Tensor:
        """A code of each sample, (n, code): drawn from q by e (n, code), or where the middle of z0 goes."""
        base, context = self.encoder(x, self.given_of(x, labels))
        return self.drawn(base, torch.zeros_like(base.mean)[None] if e is None else e[None], context)[0][0]

    def samples(self, z: Tensor, rng: Randomness | None, labels: Labels | None = None) -> Samples:
        """Samples (n, *event) of codes: drawn from p(x|z), or its means where there is no rng."""
        theta = self.decoded(z, None if self.given is None else self.given.drawn(len(z), rng, labels).to(z))
        return self.likelihood.mean(theta) if rng is None else self.likelihood.sample(theta, rng)
