r"""A method in code space: data are encoded, the method runs on codes, and what it gives is decoded.

    codec learns for `codec_steps` steps, if it learns at all
    z = E(x) for every batch;  the method learns from z;  samples and transported points are D(z)

Particles whose codes move by :math:`\dot z = -\nabla_z \phi(z)` run in a space of few numbers, where a critic needs few
data and a step moves all of them. The price is in `pushforward.codecs.data_processing`.

References:
    Lipschitz-regularized gradient flows and generative particle algorithms (Gu et al., 2022), arXiv:2210.17230.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from pushforward.codecs import Codec, reconstruction
from pushforward.codecs.codec import Decodes, Learns
from pushforward.codecs.processing import steepness
from pushforward.errors import UsageError
from pushforward.methods.sources import Box, OnePass, Pass
from pushforward.parallel import sharing
from pushforward.randomness import blocks, filled
from pushforward.training.stages import Stage, Stages
from pushforward.types import (
    Batch,
    HasCodes,
    HasParticles,
    Infers,
    Labels,
    Logs,
    Method,
    Randomness,
    Records,
    Remarks,
    Restores,
    Samples,
    Scores,
    Shared,
    Sourced,
    Staged,
    Stops,
    Transports,
    able,
    unpack,
)

__all__ = ["InCodeSpace"]

BLOCK = 1024  # samples that go through the codec in one pass
LOOK = 64  # codes at which the decoder's slope is looked up
PASSED_ON = (HasParticles, Records, Remarks, Sourced, Transports)  # what it can do if the method can


@dataclass
class InCodeSpace:
    """Any method, run on codes.

    Attributes:
        codec: Samples to codes and back.
        method: What runs on codes: particles, a generator of codes, a distilled flow.
        codec_steps: Steps in which the codec learns, before the method's first.
        lessons: What the codec learns from, where that is not the method's batches: a stream that knows its position.
        starts: Points (n, *event) that the particles start at; they are encoded when the codec has learned.
        encoded: Whether the method takes encoded batches. With False it gets the data as they are: for particles whose
            flow decodes them, as `pullback` does.
        project: Applied to what is decoded, for example a clamp to the box that images live in.
        stages: The codec's steps, then those of the method.

    Raises:
        UsageError: If the codec is to learn but cannot, or starts are given to a method without particles.
    """

    codec: Codec
    method: Method
    codec_steps: int = 0
    lessons: Iterator[Batch] | None = None
    starts: Samples | None = None
    encoded: bool = True
    project: Callable[[Samples], Samples] | None = None
    stages: Stages = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.codec_steps and not able(self.codec, Learns):
            name = type(self.codec).__name__
            raise UsageError(f"codec_steps={self.codec_steps}: a {name} does not learn; use codec_steps=0")
        if self.starts is not None and not able(self.method, HasParticles):
            raise UsageError(f"starts need a method with particles; {type(self.method).__name__} has none")
        codec = Stage("codec", self.codec_steps, self._learn_codec)
        codes = Stage("codes", None, self._learn_codes, begin=self._encode_starts, restore=self._restore)
        self.stages = Stages((codec, codes))

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        """Steps of the codec, then steps of the method on codes, one for each yield.

        The first of the latter also says what the codec is like: `decoder`, the Lipschitz constant a_D of its decoder
        as `pushforward.codecs.processing.steepness` finds it, and `lost`, the mean distance of data from their
        reconstructions.

        Args:
            batches: Endless batches of data (n, *event), or of (data, labels).
            start: Number of steps done before, of either.
        """
        return self.stages.learn(self, batches, start)

    def restore(self, step: int) -> None:
        """Build what the method had built after so many steps, of either."""
        self.stages.restore(self, step)

    @property
    def stage(self) -> str:
        """Which stage did the last step: the codec's, or the method's, which may have stages of its own."""
        inner = self.method.stage if self.stages.current > 1 and able(self.method, Staged) else ""
        return inner or self.stages.stage

    def _learn_codec(self, batches: Iterable[Batch], start: int) -> Iterator[Logs]:
        assert able(self.codec, Learns)
        return self.codec.learn(batches if self.lessons is None else self.lessons, start)

    def _encode_starts(self) -> None:
        """The particles' first codes, now that the codec has learned."""
        if self.starts is not None and able(self.method, HasParticles):
            self.method.particles = self.encode(self.starts)

    def _learn_codes(self, batches: Iterator[Batch], start: int) -> Iterator[Logs]:
        account: Logs = {}
        for logs in self.method.learn(self._coded(batches, account, start == 0), start):
            yield logs | account
            account.clear()

    def _restore(self, step: int) -> None:
        if able(self.method, Restores):
            self.method.restore(step)

    def _coded(self, stream: Iterator[Batch], account: Logs, first: bool) -> Iterator[Batch]:
        """Batches as the method wants them; the first one of its stage also shows what the codec is like."""
        for batch in stream:
            x, labels = unpack(batch)
            if first:
                account |= self._account(x)
                first = False
            z = self.encode(x) if self.encoded else x
            yield z if labels is None else (z, labels)

    def _account(self, x: Samples) -> Logs:
        z = self.encode(x[:LOOK])
        return {
            "decoder": z.new_tensor(steepness(self.codec, z)[0]),
            "lost": z.new_tensor(reconstruction(self.codec, x)),
        }

    @property
    def particles(self) -> Samples:
        """The method's particles, decoded.

        Raises:
            AttributeError: If it has none.
        """
        if not able(self.method, HasParticles):
            raise AttributeError(f"{type(self.method).__name__} has no particles")
        return self.decode(self.method.particles)

    @property
    def labels(self) -> Labels | None:
        """Classes of the particles, where they have some."""
        return self.method.labels if able(self.method, HasParticles) else None

    @property
    def tape(self) -> Sequence[object]:
        """The fields that were recorded."""
        return self.method.tape if able(self.method, Records) else ()

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        """n samples (n, *event): codes from the method, decoded."""
        z = self.method.sample(n, rng, labels)
        return torch.cat([self.decode(filled(z, start, size)) for start, size in blocks(n)])[:n]

    def prior_codes(self, n: int, rng: Randomness) -> Tensor:
        """n codes (n, *code) from the method."""
        return self.method.sample(n, rng)

    @property
    def _inferring(self) -> Infers:
        if not able(self.codec, Infers):
            raise UsageError(f"a {type(self.codec).__name__} has one code for a row; use a variational autoencoder")
        return self.codec

    def base(self, x: Samples, labels: Labels | None = None) -> tuple[Tensor, Tensor]:
        """As of the codec, where it draws codes; see `offers`.

        Raises:
            UsageError: If it does not.
        """
        return self._inferring.base(x, labels)

    def inferred(self, x: Samples, e: Tensor, labels: Labels | None = None) -> tuple[Tensor, Scores, Scores]:
        """As of the codec."""
        return self._inferring.inferred(x, e, labels)

    @property
    def posterior_flow(self) -> Literal["none", "common", "own"]:
        """As of the codec; none where it does not draw codes."""
        return self.codec.posterior_flow if able(self.codec, Infers) else "none"

    @property
    def discrete(self) -> bool:
        """As of the codec."""
        return able(self.codec, Infers) and self.codec.discrete

    def one_pass(self) -> Pass:
        """The method's pass to codes, and the decoder; see `offers`.

        Raises:
            UsageError: If the method's samples are no pass of nets, or the codec has no net that decodes.
        """
        if not able(self.method, OnePass) or not able(self.codec, Decodes):
            raise UsageError(f"{type(self.method).__name__} on codes of a {type(self.codec).__name__}: no pass of nets")
        inner = self.method.one_pass()
        if inner.box is not None or (self.project is not None and not isinstance(self.project, Box)):
            raise UsageError("codes that are projected, or samples by a function of one's own: no pass of nets")
        return Pass(inner.latent, (*inner.nets, self.codec.decoder()), self.project)

    def transport(self, x: Samples, labels: Labels | None = None) -> Samples:
        """Carry new points along: encoded, moved by the method, decoded. What their codes lose is lost.

        Args:
            x: Where the points start, (m, *event).
            labels: Their classes (m,), where the method has some.

        Raises:
            UsageError: If the method cannot carry points.
        """
        if not able(self.method, Transports):
            raise UsageError(f"{type(self.method).__name__} carries no new points; use Particles with record=True")
        return self.decode(self.method.transport(self.encode(x), labels))

    @property
    def source(self) -> object:
        """Law of new codes; None where samples are the method's own particles."""
        return self.method.source if able(self.method, Sourced) else None

    @property
    def stopped(self) -> str:
        """Why the method ended, if it ended by itself."""
        return self.method.stopped if able(self.method, Stops) else ""

    def remarks(self, steps: int) -> Sequence[str]:
        """What the method says of itself, in those of so many steps that are its own."""
        return self.method.remarks(steps - self.codec_steps) if able(self.method, Remarks) else ()

    def offers(self, capability: type) -> bool:
        """Whether the method has what this one passes on: its particles, tape and source, transport, and its pass.

        Codes of rows are passed on from a codec that draws them; the density of the method's codes is not, as that of
        a score model takes an integral for each of them.
        """
        if capability in (Infers, HasCodes):
            return able(self.codec, Infers)
        if capability is OnePass:
            return able(self.method, OnePass) and able(self.codec, Decodes)
        return capability not in PASSED_ON or able(self.method, capability)

    def shard(self) -> None:
        """Keep this process's share of the particles, where several processes share the work."""
        if able(self.method, Shared):
            self.method.shard()
            self.starts = None if self.starts is None else sharing.own_rows(self.starts)

    def shared(self, name: str) -> bool:
        """Whether the tensor of this dotted name has a row for each particle, or for each of their starts."""
        within = name.removeprefix("method.")
        return able(self.method, Shared) and (name == "starts" or (within != name and self.method.shared(within)))

    def encode(self, x: Samples) -> Tensor:
        """Codes of samples, block by block, without a graph."""
        return _by_blocks(self.codec.encode, x)

    def decode(self, z: Tensor) -> Samples:
        """Samples of codes, block by block, without a graph, and projected."""
        x = _by_blocks(self.codec.decode, z)
        return x if self.project is None else self.project(x)


@torch.no_grad()
def _by_blocks(through: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return through(x) if len(x) <= BLOCK else torch.cat([through(part) for part in x.split(BLOCK)])
