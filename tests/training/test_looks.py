"""How many samples a look at a run takes: a thousand, or fewer where they are large and dear, at all looks alike."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward.recipes import RECIPES
from pushforward.training.run import judged

SMALL = {"steps": 2, "batch": 4, "width": 8}


@pytest.mark.parametrize(
    ("recipe", "side", "more", "wanted"),
    [
        ("bridge_images", 32, {}, 200),
        ("bridge_images", 32, {"distil_steps": 3}, 200),  # of the generator too: numbers of looks are to be compared
        ("score_images", 32, {}, 200),
        ("bridge_images", 8, {}, 1000),
        ("vgrow_images", 32, {}, 1000),
        ("bridge_toy", None, {}, 1000),
    ],
)
def test_looks_at_large_samples_of_many_calls_are_small(recipe, side, more, wanted, tmp_path):
    if side is not None:
        pixels = np.random.default_rng(0).integers(0, 256, size=(60, side, side)).astype(np.uint8)
        np.savez(tmp_path / "a.npz", x=pixels)
        more = more | {"data": f"{tmp_path}/a.npz:x"}
    assert judged(RECIPES[recipe](**SMALL | more)) == wanted
