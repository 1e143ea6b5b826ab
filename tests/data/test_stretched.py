"""A column whose standard deviation a few rows set is named, with what they do to the rest."""

import numpy as np
import torch

from pushforward.data import load
from pushforward.data.units import stretched


def test_columns_are_named_whose_middle_half_is_a_tenth_of_what_their_deviation_says(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4))
    x[17, 1], x[:, 2] = 1e6, rng.lognormal(size=500)
    x[:, 3] = rng.random(500) < 0.02  # mostly one value: no quartiles to compare with
    np.savez(tmp_path / "a.npz", x=x)
    (note,) = load(f"{tmp_path}/a.npz:x", seed=1).notes
    assert "column 1: its scale is that of a few far rows" in note
    np.savez(tmp_path / "b.npz", x=x[:, :3])
    assert load(f"{tmp_path}/b.npz:x", seed=1, scaling="quartiles").notes == ()


def test_laws_with_light_and_with_heavy_tails_alike_are_left_alone_and_many_columns_are_counted():
    rng = np.random.default_rng(0)
    assert stretched(rng.normal(size=(1000, 3))) == ()
    assert stretched(rng.standard_t(3, size=(1000, 3)) / 3**0.5) == ()
    far = rng.normal(size=(400, 9)) / 100
    far[0] = 20
    said = stretched(torch.from_numpy(far), [f"c{k}" for k in range(9)])
    assert len(said) == 7
    assert "column c0:" in said[0]
    assert said[-1] == "the same of 3 further columns"
