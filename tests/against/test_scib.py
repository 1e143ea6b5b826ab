"""Scores of a merge against scib-metrics, on the same neighbours, where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward.metrics.integration.conservation import clisi, graph_connectivity, label_silhouette
from pushforward.metrics.integration.mixing import (
    batch_silhouette,
    ilisi,
    kbet,
    lisi,
    neighbourhoods,
    pcr_comparison,
    principal_regression,
)

scib = pytest.importorskip("scib_metrics")


@pytest.fixture(scope="module")
def cells():
    """Four classes and three batches that are partly mixed, and their neighbourhoods in both forms."""
    from scib_metrics.nearest_neighbors import NeighborsResults

    rng = np.random.default_rng(0)
    labels, batch = rng.integers(0, 4, 700), rng.integers(0, 3, 700)
    x = rng.normal(size=(700, 6)) + 2.5 * np.eye(6)[labels] + 0.8 * np.eye(6)[3 + batch]
    near = neighbourhoods(x, 90)
    return x, batch, labels, near, lambda k: NeighborsResults(near.places[:, :k], near.distances[:, :k])


def test_lisi_of_every_cell_and_its_medians(cells):
    _, batch, labels, near, theirs = cells
    np.testing.assert_allclose(lisi(near, batch), scib.lisi_knn(theirs(90), batch), rtol=2e-3)
    assert ilisi(near, batch) == pytest.approx(float(scib.ilisi_knn(theirs(90), batch)), abs=1e-3)
    assert clisi(near, labels) == pytest.approx(float(scib.clisi_knn(theirs(90), labels)), abs=1e-3)


def test_kbet(cells):
    _, batch, _, near, theirs = cells
    assert kbet(near, batch) == pytest.approx(float(scib.kbet(theirs(50), batch)[0]), abs=2e-3)


def test_silhouettes(cells):
    x, batch, labels, *_ = cells
    assert label_silhouette(x, labels) == pytest.approx(float(scib.silhouette_label(x, labels)), abs=1e-4)
    assert batch_silhouette(x, batch, labels) == pytest.approx(float(scib.bras(x, labels, batch)), abs=1e-4)
    one = batch_silhouette(x, batch, labels, adapted=False)
    assert one == pytest.approx(float(scib.silhouette_batch(x, labels, batch)), abs=1e-4)


def test_graph_connectivity(cells):
    _, _, labels, near, theirs = cells
    ours = graph_connectivity(near, labels, directed=True)
    assert ours == pytest.approx(float(scib.graph_connectivity(theirs(15), labels)), abs=1e-9)


def test_principal_component_regression(cells):
    x, batch, *_ = cells
    theirs = scib.utils.principal_component_regression(x, batch, categorical=True)
    assert principal_regression(x, batch) == pytest.approx(theirs, abs=1e-4)
    after = x - 0.5 * np.eye(6)[3 + batch]
    wanted = float(scib.pcr_comparison(x, after, batch, categorical=True))
    assert pcr_comparison(x, after, batch) == pytest.approx(wanted, abs=1e-3)
