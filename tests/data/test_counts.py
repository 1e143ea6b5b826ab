"""Counts stay counts: no column is scaled, and what is none is named with its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward.data import source
from pushforward.errors import DataError


def saved(path: Path, x: np.ndarray) -> str:
    """A matrix as the ending says."""
    if path.suffix == ".npz":
        np.savez(path, x=x)
        return f"{path}:x"
    names = ",".join(f"g{k}" for k in range(x.shape[1]))
    path.write_text("\n".join([names, *(",".join(map(repr, row)) for row in x.tolist())]) + "\n")
    return str(path)


def rows(n: int = 40) -> np.ndarray:
    x = np.random.default_rng(0).poisson(3.0, (n, 4)) + 1
    x[:, 2] = 0  # a gene that no cell has
    return x


@pytest.mark.parametrize("name", ["c.npz", "c.csv"])
def test_counts_come_as_they_are_and_a_gene_without_any_is_no_error(name, tmp_path):
    data = source.load(saved(tmp_path / name, rows()), scaling="counts")
    whole = torch.cat([data.train, data.test])
    assert sorted(whole.tolist()) == sorted(rows().astype(float).tolist())
    assert np.array_equal(data.decode(data.train), data.train.numpy())
    assert data.one_unit
    assert data.log_volume == 0
    with pytest.raises(DataError, match="constant"):
        source.load(saved(tmp_path / name, rows()))


@pytest.mark.parametrize(
    ("value", "said"), [(0.5, "is 0.5,"), (-1.0, "is -1,"), (2.0**24 + 2, "is 1.67772e[+]07,")], ids=str
)
def test_the_first_number_that_is_no_count_is_named_with_its_place_and_the_remedy(value, said, tmp_path):
    x = rows().astype(float)
    x[7, 3], x[9, 0] = value, 0.25
    for name, column in (("c.npz", "3"), ("c.csv", "'g3'")):
        with pytest.raises(DataError, match=f"row 7, column {column} {said} .*give raw counts") as stop:
            source.load(saved(tmp_path / name, x), scaling="counts")
        assert "\n" not in str(stop.value)


def test_a_test_set_of_its_own_is_looked_at_too(tmp_path):
    x, other = rows().astype(float), rows().astype(float)
    other[3, 1] = 0.5
    np.savez(tmp_path / "c.npz", x_train=x, x_test=other)
    with pytest.raises(DataError, match=r"row 3, column 1 is 0\.5,"):
        source.load(f"{tmp_path / 'c.npz'}:x_train", scaling="counts")


def test_a_row_without_counts_is_named(tmp_path):
    x = rows()
    x[11] = 0
    with pytest.raises(DataError, match="row 11 has no counts at all: leave out"):
        source.load(saved(tmp_path / "c.npz", x), scaling="counts")
