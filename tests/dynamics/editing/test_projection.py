"""What is known is an orthogonal projection, whatever the task, and what is put back is what was known."""

from __future__ import annotations

import pytest
import torch

from pushforward.dynamics.editing import SIDES, LinearProjection, RowMasks
from pushforward.errors import UsageError

EVENT = (3, 4, 6)
MASK = torch.rand(4, 6, generator=torch.Generator().manual_seed(3)) < 0.6
PROJECTIONS = {
    "mask of an image": LinearProjection.mask(MASK, EVENT),
    "mask of a vector": LinearProjection.mask(torch.tensor([1, 0, 0, 1])),
    "mask of numbers": LinearProjection.mask((torch.rand(EVENT) < 0.5).float()),
    **{f"{side} half": LinearProjection.half(EVENT, side) for side in SIDES},
    "grey": LinearProjection.grey(EVENT),
    "pooled": LinearProjection.pooled(EVENT, 2),
}
RANKS = {"mask of an image": 3 * int(MASK.sum()), "mask of a vector": 2, "left half": 36, "grey": 24, "pooled": 18}
each = pytest.mark.parametrize("name", PROJECTIONS)


def rows(projection: LinearProjection, n: int = 5, seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, *projection.event, generator=rng, dtype=torch.float64)


@each
def test_a_projection_is_idempotent_symmetric_and_parts_the_identity(name):
    p = PROJECTIONS[name]
    x, y = rows(p), rows(p, seed=1)
    known = p.known(x)
    torch.testing.assert_close(p.known(known), known, rtol=0, atol=1e-14)
    torch.testing.assert_close((known * y).sum(), (x * p.known(y)).sum(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(p.replace(x, 0 * x) + known, x, rtol=0, atol=1e-14)  # (I - P) x + P x
    torch.testing.assert_close((known * (x - known)).sum(), torch.zeros(()).double(), rtol=0, atol=1e-12)


@each
def test_what_is_replaced_is_known_of_the_one_and_unknown_of_the_other(name):
    p = PROJECTIONS[name]
    x, y = rows(p), rows(p, seed=1)
    z = p.replace(x, y)
    torch.testing.assert_close(p.known(z), p.known(y), rtol=0, atol=1e-14)
    torch.testing.assert_close(z - p.known(z), x - p.known(x), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", RANKS)
def test_so_many_numbers_are_known(name):
    p = PROJECTIONS[name]
    d = p.seen.numel()
    eye = torch.eye(d, dtype=torch.float64).view(d, *p.event)
    assert round(float(p.known(eye).view(d, d).trace()), 9) == RANKS[name]


def test_a_mask_puts_back_every_bit_and_leaves_every_other():
    p = PROJECTIONS["mask of an image"]
    x, y = 1e6 * rows(p).float(), 1e-3 * rows(p, seed=1).float()
    z, seen = p.replace(x, y), MASK.expand(EVENT)
    assert torch.equal(z[:, seen], y[:, seen])
    assert torch.equal(z[:, ~seen], x[:, ~seen])


def test_the_named_half_is_the_hidden_one():
    x = torch.ones(1, 1, 4, 6)
    parts = {"left": x[..., :3], "right": x[..., 3:], "top": x[..., :2, :], "bottom": x[..., 2:, :]}
    for side in SIDES:
        x.fill_(1)
        known = LinearProjection.half((1, 4, 6), side).known(x)
        assert known.sum() == 12
        x.copy_(known)
        assert parts[side].sum() == 0


def test_grey_is_the_coordinate_along_the_diagonal_and_colours_are_square_to_it():
    x = rows(PROJECTIONS["grey"])
    along = torch.ones(3, dtype=torch.float64) / 3**0.5
    wanted = torch.einsum("c,k,nkhw->nchw", along, along, x)
    torch.testing.assert_close(PROJECTIONS["grey"].known(x), wanted, rtol=0, atol=1e-14)
    for colour in torch.tensor([[-2.0, 1.0, 1.0], [0.0, 1.0, -1.0]]).double():
        tinted = colour.view(1, 3, 1, 1).expand(1, *EVENT)
        assert float(PROJECTIONS["grey"].known(tinted).abs().max()) < 1e-15


def test_pooled_is_the_mean_of_blocks_in_their_place():
    x = rows(PROJECTIONS["pooled"])
    small = torch.nn.functional.avg_pool2d(x, 2)
    wanted = small.repeat_interleave(2, -2).repeat_interleave(2, -1)
    torch.testing.assert_close(PROJECTIONS["pooled"].known(x), wanted, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: LinearProjection.mask(torch.ones(4, 5), EVENT), r"mask of \(4, 5\) on samples of \(3, 4, 6\)"),
        (lambda: LinearProjection.mask(torch.full((4,), 0.5)), "from 0.5 to 0.5: give 1 for known"),
        (lambda: LinearProjection.half(EVENT, "middle"), "'middle': use left, right, top, bottom"),  # type: ignore[arg-type]
        (lambda: LinearProjection.half((4,), "left"), r"samples of \(4,\): give images"),
        (lambda: LinearProjection.grey((1, 4, 4)), r"\(1, 4, 4\): give images of three channels"),
        (lambda: LinearProjection.pooled(EVENT, 4), "blocks of 4 x 4 do not fill 6 x 4 pixels"),
        (lambda: LinearProjection(torch.ones(4, dtype=torch.bool), (3,)), "blocks of .* do not fill samples"),
        (lambda: LinearProjection(torch.tensor([True, False]), (2,)), "parts a block"),
        (lambda: PROJECTIONS["grey"].known(torch.zeros(2, 3, 4, 4)), r"\(3, 4, 4\), known of \(3, 4, 6\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_both_sizes(made, said):
    with pytest.raises(UsageError, match=said):
        made()


def test_masks_of_rows_are_the_masks_of_each():
    seen = torch.rand(5, 3, 4, generator=torch.Generator().manual_seed(0)) < 0.5
    x, y = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(1))
    rows = RowMasks(seen)
    for k, mask in enumerate(seen):
        one = LinearProjection.mask(mask)
        assert torch.equal(rows.known(x)[k], one.known(x[k : k + 1])[0])
        assert torch.equal(rows.replace(x, y)[k], one.replace(x[k : k + 1], y[k : k + 1])[0])


def test_masks_of_rows_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="give booleans"):
        RowMasks(torch.ones(2, 3))
    with pytest.raises(UsageError, match="give a mask for each row"):
        RowMasks(torch.ones(2, 3, dtype=torch.bool)).known(torch.ones(3, 3))
