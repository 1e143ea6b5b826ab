"""The handwritten digits that come with scikit-learn."""

from dataclasses import replace

import numpy as np

from pushforward.data.assemble import assemble
from pushforward.data.dataset import Dataset
from pushforward.data.raw import Raw, chosen

__all__ = ["digits"]


def digits(
    *,
    seed: int = 0,
    test_fraction: float | None = None,
    side: int | None = None,
    channels: int | None = None,
    limit: int | None = None,
) -> Dataset:
    """The 1,797 handwritten digits of scikit-learn, 8 x 8 grey, v / 8 - 1 in model units, with labels 0 to 9.

    Args:
        seed: Seed of the split.
        test_fraction: Share to hold out, a third by default.
        side: Side in pixels, a power of two; 8 by default.
        channels: 1 by default.
        limit: Use at most so many, chosen by the seed.

    References:
        Optical recognition of handwritten digits, UCI machine learning repository (Alpaydin and Kaynak, 1998).
    """
    from sklearn.datasets import load_digits

    pixels, numbers = (np.asarray(part) for part in load_digits(return_X_y=True))
    levels = (pixels.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.float32)
    keep = chosen(len(levels), limit, seed)
    raw = Raw("digits", "images", levels[keep], labels=numbers[keep])
    found = assemble(
        raw, "digits", seed=seed, test_fraction=test_fraction, side=side, channels=channels, usual_fraction=1 / 3
    )
    return replace(found, network="digits8")
