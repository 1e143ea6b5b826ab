"""Nearest-neighbour distances against small cases and their laws."""

import pytest
import torch

from pushforward.metrics.neighbours import chamfer


def test_chamfer_adds_both_directions_on_a_small_case():
    q, p = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    to_data = (0.0 + (9.0 + 4.0) ** 0.5) / 2
    to_samples = (0.0 + 1.0 + 2.0) / 3
    assert chamfer(q, p) == pytest.approx(to_data + to_samples, rel=1e-12)
    assert chamfer(q, p) == pytest.approx(chamfer(p, q), rel=1e-12)
    assert chamfer(p, p.flip(0)) == 0


def test_chamfer_scales_with_the_unit_and_sees_strays_and_lost_modes():
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    draw = lambda: centres.repeat(200, 1) + 0.01 * torch.randn(400, 2, generator=generator)  # noqa: E731
    p, q = draw(), draw()
    floor = chamfer(q, p)
    assert chamfer(5 * q, 5 * p) == pytest.approx(5 * floor, rel=1e-6)
    strays = q.clone()
    strays[:8] = 0.0
    assert chamfer(strays, p) > floor + 0.8 * 8 / 400
    assert chamfer(q[::2], p) > floor + 0.9
