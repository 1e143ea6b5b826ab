"""The adversarial form of the same flow: the generator descends the mean of psi(d(G(z))) directly.

    critic:     d  <- logistic regression of p against G(z)
    generator:  theta <- theta - rate * grad E psi(d(G_theta(z))),  psi of JS: saturating, logD: log-D trick, KL: linear

References:
    Generative adversarial nets (Goodfellow et al., 2014), arXiv:1406.2661.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import Tensor

from pushforward.divergences import potential, weight
from pushforward.flows.critic import CriticFlow
from pushforward.methods.sources import Latent, Pass, generate
from pushforward.training.learner import Learner
from pushforward.types import Batch, Labels, Logs, Randomness, Samples, unpack

__all__ = ["GAN"]


@dataclass
class GAN:
    r"""A generator whose loss is :math:`\mathbb{E}\,\psi(d(G(z)))` for the flow's divergence, slopes capped alike.

    Attributes:
        generator: The generator and how it learns.
        flow: The critic, its contrast and penalties, and the divergence.
        latent: Law of z.
        rng: Where latents come from.
        rounds: Calls of the flow, each on fresh samples, for one step of the generator.
    """

    generator: Learner
    flow: CriticFlow
    latent: Latent
    rng: Randomness
    rounds: int = 1

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """One step of the generator for each yield; batches as in `VGrow.learn`."""
        stream = iter(batches)
        while True:
            for _ in range(self.rounds - 1):
                self._round(next(stream))
            x, labels = self._round(next(stream))
            scores = self.flow.scores(x, labels)
            loss = potential(self.flow.divergence, scores, self.flow.cap).mean()
            slopes: list[Tensor] = []
            x.register_hook(slopes.append)  # d loss / d x_i = -v_i / n
            self.generator.descend(loss)
            speed = (len(x) * slopes[0].detach().square().sum()).sqrt()
            weights, capped = weight(self.flow.divergence, scores.detach(), self.flow.cap)
            numbers = {"generator": loss.detach(), "weight": weights.mean(), "capped": capped, "speed": speed}
            yield self.flow.logs | numbers

    def _round(self, batch: Batch) -> tuple[Samples, Labels | None]:
        """Show the flow a batch of fresh samples, and return them with their graph."""
        p, labels = unpack(batch)
        z = self.latent(self.rng, len(p))
        x = self.generator(z) if labels is None else self.generator(z, labels)
        self.flow.velocity(x, p, None if labels is None else (labels, labels))
        return x, labels

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """n samples (n, *event) of the generator's average."""
        return generate(self.generator, self.latent, n, rng or self.rng, labels)

    def one_pass(self) -> Pass:
        """The generator's average, and the law of its latents."""
        return Pass(self.latent, (self.generator.sampler,))
