r"""Stacked digits: three grey digits as the channels of one image, a data set of 1000 modes that can be counted.

A sampler that draws every triple with its share p of the data captures, in n samples, :math:`\sum_k 1 - (1 - p_k)^n`
modes on average; for equal shares that is :math:`K (1 - (1 - 1/K)^n)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.errors import DataError
from pushforward.metrics.core.comparison import Comparison, linear_cost
from pushforward.metrics.core.features import blocked
from pushforward.metrics.core.part import Found, Part
from pushforward.metrics.core.reference import Given, check_samples
from pushforward.metrics.core.result import Measure, Words
from pushforward.metrics.known.modes import expected_modes, labels_of, probabilities
from pushforward.metrics.known.shares import expected_kl, log_spread, with_null
from pushforward.randomness import generator

__all__ = ["PARTS", "stack_digits", "stacked_modes"]

_PUBLISHED = 26_000

_SPREAD = 99
"""Draws that tell how far a perfect sampler's value scatters, where none are asked for a p-value."""


def stack_digits(images: Tensor, labels: Tensor, n: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random triples of digit images as three channels.

    Args:
        images: Grey digits, (m, s, s) or (m, 1, s, s).
        labels: Their digits 0 to 9, (m,).
        n: Number of triples, drawn with replacement.
        seed: Seed of the draw.

    Returns:
        Images (n, 3, s, s) of the type of `images`, and labels (n,), 100 a + 10 b + c for channels a, b, c.

    Raises:
        DataError: If the images are not grey, or do not come with a digit each.
    """
    if images.ndim == 4 and images.shape[1] == 1:
        images = images[:, 0]
    if images.ndim != 3 or len(images) == 0 or labels.shape != images.shape[:1]:
        shapes = f"images have shape {tuple(images.shape)}, labels {tuple(labels.shape)}"
        raise DataError(f"{shapes}: give grey images (m, s, s) or (m, 1, s, s) with a label each")
    if labels.min() < 0 or labels.max() > 9:
        raise DataError(f"labels run from {int(labels.min())} to {int(labels.max())}: digits are 0 to 9")
    rows = torch.from_numpy(generator(seed, "evaluate", part="stacks").integers(len(images), size=(n, 3))).to(
        images.device
    )
    places = torch.tensor([100, 10, 1], device=labels.device)
    return images[rows], (labels[rows.to(labels.device)].long() * places).sum(1)


def stacked_modes(
    fake: Given,
    classify: Callable[[Tensor], Tensor],
    shares: Tensor | Sequence[float] | None = None,
    *,
    features: str = "raw",
    draws: int = 999,
    seed: int = 0,
) -> dict[str, Measure]:
    """Modes of stacked digits captured, of 1000, and KL(frequencies || uniform) in nats.

    The published protocol counts 26,000 samples; other numbers of samples do not compare, and are noted.

    Args:
        fake: Model samples, (n, 3, s, s), in the units of the classifier.
        classify: One digit, (n, 1, s, s) -> logits (n, 10), or labels (n,); each channel is given to it.
        shares: Shares of the ten digits in the data, (10,), for the floors; equal where omitted. KL is to the uniform
            law all the same, as published.
        features: Identity of the classifier.
        draws: Multinomial draws behind the p-value of KL.
        seed: Seed of these.

    Returns:
        `stacked_modes`: triples seen at least once; the floor is what a perfect sampler sees on average.
        `stacked_kl`: the floor is its exact expectation, the error that of `with_null`; the p-value compares with
        draws of a perfect sampler. Its detail holds the `counts`, (10, 10, 10).

    Raises:
        DataError: If fake has not three channels, or the classifier answers with anything but ten classes.

    References:
        Unrolled generative adversarial networks (Metz et al., 2017), arXiv:1611.02163; VEEGAN (Srivastava et al.,
        2017), arXiv:1705.07761; PacGAN (Lin et al., 2018), arXiv:1712.04086.
    """
    fake = check_samples("fake", fake, least=1)
    if fake.ndim != 4 or fake.shape[1] != 3:
        raise DataError(f"fake has shape {tuple(fake.shape)}: stacked digits are (n, 3, s, s)")
    n, digits = len(fake), probabilities(shares, 10)
    triples = np.einsum("a,b,c->abc", digits, digits, digits).reshape(-1)
    counts = _counts(fake, classify)
    value = float(_divergence(counts))

    # Only draws from the law itself know this statistic's law where modes hold few samples each.
    rng = generator(seed, "evaluate", part="stacked null")
    drawn = _divergence(rng.multinomial(n, triples, size=draws or _SPREAD))
    null = drawn[:draws]
    p = (1 + int((null >= value - 1e-12).sum())) / (draws + 1) if draws else None
    protocol: Words = {"modes": 1000, "samples": n, "channel_classifier": features}
    protocol["shares"] = "equal" if shares is None else "given"
    if n != _PUBLISHED:
        protocol["note"] = f"{n} samples, published counts use {_PUBLISHED}: compare with the floor only"
    captured = Measure(
        float((counts > 0).sum()), expected_modes(1, n, triples), None, None, n, 0, features, "higher", protocol
    )
    words = protocol | {"reference": "uniform", "p": f"{draws} multinomial draws"}
    words["se"] = "first order above the floor, drawn at it"
    uniform = np.full(1000, 1e-3)
    floor = expected_kl(n, triples, uniform)
    error = with_null(log_spread(counts / n, uniform) / n, value, floor, float(drawn.var()))
    detail = {"counts": torch.from_numpy(counts.reshape(10, 10, 10)), "null": torch.from_numpy(null)}
    return {
        "stacked_modes": captured,
        "stacked_kl": Measure(value, floor, error, p, n, 0, features, "lower", words, detail),
    }


def _counts(fake: Tensor, classify: Callable[[Tensor], Tensor]) -> NDArray[np.int64]:
    """Samples of each triple, (1000,)."""
    label = np.zeros(len(fake), np.int64)
    for channel in range(3):
        label = 10 * label + labels_of(blocked(classify, fake[:, channel : channel + 1]), len(fake), 10)
    return np.bincount(label, minlength=1000)


def _divergence(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """KL to the uniform law of counts (..., 1000)."""
    shares = counts / counts.sum(-1, keepdims=True)
    return (shares * np.log(np.where(shares > 0, 1000 * shares, 1))).sum(-1)


def _part(c: Comparison) -> Found:
    assert c.space.classify is not None
    # No p-value: that of the uniform law says nothing of data whose digits are not equally frequent.
    return stacked_modes(c.fake, c.space.classify, features=c.space.id, draws=0)


PARTS = (
    Part(
        "stacked", "modes of stacked digits", _part, linear_cost,
        {"stacked_modes": "Modes of stacked digits captured, of 1,000",
         "stacked_kl": "How far the shares of these modes are off, in nats"},
        frozenset(("classifier", "colours")), place=210,
    ),
)  # fmt: skip
