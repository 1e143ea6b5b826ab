"""Pictures keep every pixel and every point, and read back what was written."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pushforward.data.dataset import Dataset
from pushforward.data.source import load
from pushforward.data.toys import plane as toy
from pushforward.pictures import GAP, grid, read_clouds, read_grids, scatter, view, write_samples


@pytest.fixture(scope="module")
def ring() -> Dataset:
    return toy.load("ring8", n_train=2000, n_test=500)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load("digits")


@pytest.mark.parametrize("shape", [(5, 4, 6), (5, 4, 6, 1), (5, 4, 6, 3), (5, 4, 6, 4)])
def test_every_image_stands_in_its_cell_pixel_for_pixel(shape):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    sheet = np.asarray(grid(images, columns=3, scale=2))
    h, w, channels = 4 * 2, 6 * 2, {1: 1, 3: 3, 4: 4}.get(shape[-1], 1) if len(shape) == 4 else 1
    assert sheet.shape[:2] == (2 * h + GAP, 3 * w + 2 * GAP)
    for k in range(5):
        top, left = k // 3 * (h + GAP), k % 3 * (w + GAP)
        cell = sheet[top : top + h : 2, left : left + w : 2, :channels]
        np.testing.assert_array_equal(cell, images[k].reshape(4, 6, channels))
        np.testing.assert_array_equal(cell, sheet[top + 1 : top + h : 2, left + 1 : left + w : 2, :channels])
    assert not sheet[:h, w : w + GAP, -1].any()
    assert not sheet[h + GAP :, 2 * (w + GAP) :, -1].any()


@pytest.mark.parametrize("side", [4, 8, 16, 28, 64])
def test_a_grid_is_about_512_pixels_wide(side):
    sheet = grid(np.zeros((64, side, side), np.uint8))
    assert 400 < sheet.width < 600


@pytest.mark.parametrize(
    "images", [np.zeros((2, 3, 3)), np.zeros((3, 3), np.uint8), np.zeros((0, 3, 3), np.uint8),
               np.zeros((2, 3, 3, 2), np.uint8)], ids=["float", "one", "none", "channels"],
)  # fmt: skip
def test_what_is_no_stack_of_images_is_refused_with_its_shape(images):
    with pytest.raises(ValueError, match=re.escape(str(images.shape))):
        grid(images)


@pytest.mark.parametrize("option", [{"columns": 0}, {"scale": 0}])
def test_options_below_one_are_refused(option):
    with pytest.raises(ValueError, match="from 1 on"):
        grid(np.zeros((2, 3, 3), np.uint8), **option)


def test_points_are_read_back_in_data_units_and_in_their_order(tmp_path: Path, ring: Dataset):
    x = torch.randn(300, 2)
    write_samples(tmp_path / "samples", 100, x, ring)
    film = read_clouds(tmp_path / "samples")
    assert (film.steps, film.damaged) == ([100], [])
    np.testing.assert_allclose(film.frames[0], ring.decode(x), rtol=1e-6)
    assert film.data is not None
    np.testing.assert_allclose(film.data, ring.decode(ring.test), rtol=1e-6)


def test_a_row_is_the_same_sample_at_every_step(tmp_path: Path, ring: Dataset):
    rows = torch.arange(3000.0)[:, None].expand(-1, 2)
    for step in (0, 10):
        write_samples(tmp_path, step, rows, ring)
    first, second = read_clouds(tmp_path).frames
    assert len(first) == 1000
    np.testing.assert_array_equal(first, second)
    assert (np.diff(first[:, 0]) > 0).all()


def test_images_sorted_by_class_keep_their_order_and_show_every_class(tmp_path: Path, digits: Dataset):
    levels = torch.linspace(-1, 1, 1000)[:, None, None, None].expand(-1, *digits.event)
    write_samples(tmp_path, 7, levels, digits)
    sheet = np.asarray(Image.open(tmp_path / "step-000007.png"))
    side = (sheet.shape[1] + GAP) // 8
    seen = sheet[::side, ::side, 0].ravel().astype(int)
    assert seen.shape == (64,)
    assert (np.diff(seen) >= 0).all()
    assert seen[0] == 0
    assert seen[-1] > 245


def test_held_out_data_are_written_once(tmp_path: Path, digits: Dataset):
    write_samples(tmp_path, 0, digits.train[:64], digits)
    held = tmp_path / "data.png"
    before = held.stat().st_mtime_ns
    write_samples(tmp_path, 1, digits.train[:64], digits)
    assert held.stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.png", "step-000000.png", "step-000001.png"]


def test_damaged_files_are_named_and_the_others_read(tmp_path: Path, ring: Dataset, digits: Dataset):
    for step in (0, 10, 20):
        write_samples(tmp_path, step, torch.randn(50, 2), ring)
        write_samples(tmp_path, step, digits.test[:64], digits)
    for name in ("step-000010.npz", "step-000010.png"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:100])
    (tmp_path / "step-000020.png").write_bytes(b"<svg onload=alert(1)>")
    np.savez(tmp_path / "step-000030.npz", x=np.array([{"a": 1}], dtype=object))
    np.savez(tmp_path / "step-000040.npz", y=np.zeros((2, 2)))
    clouds, grids = read_clouds(tmp_path), read_grids(tmp_path)
    assert clouds.steps == [0, 20]
    assert clouds.damaged == ["step-000010.npz", "step-000030.npz", "step-000040.npz"]
    assert grids.steps == [0]
    assert grids.damaged == ["step-000010.png", "step-000020.png"]


def test_a_long_film_is_thinned_evenly_and_keeps_its_end(tmp_path: Path):
    for step in range(200):
        np.savez(tmp_path / f"step-{step:06d}.npz", x=np.zeros((3, 2), np.float32))
    steps = read_clouds(tmp_path).steps
    assert len(steps) == 60
    assert steps[-1] == 199
    assert set(np.diff(steps)) <= {3, 4}


def test_the_view_holds_all_data_with_one_scale_and_no_stray_sample():
    real = np.random.default_rng(0).uniform(-1, 1, (500, 2)) * (1.0, 0.6)
    low, high = view(real, [np.vstack([real, np.full((3, 2), 1e9)])])
    assert (low <= real.min(0)).all()
    assert (high >= real.max(0)).all()
    assert np.ptp(high - low) == pytest.approx(0)
    assert (high - low).max() < 4


@pytest.mark.parametrize("points", [np.zeros((4, 2)), np.full((3, 2), np.nan), np.empty((0, 2))])
def test_the_view_has_a_positive_size_whatever_the_points(points):
    low, high = view(points, [points])
    assert (high > low).all()
    assert len(scatter(points, points)) > 0


def test_a_scatter_plot_draws_samples_over_data():
    picture = np.asarray(Image.open(io.BytesIO(scatter(np.array([[0.0, 1.0]]), np.array([[0.0, 0.0], [1.0, 1.0]])))))
    assert picture.shape == (512, 512, 3)
    where = np.argwhere(picture[..., 0] < 80).mean(0)  # only samples are that dark
    assert where[0] < 256  # upwards is up
    assert where[1] < 256
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        scatter(np.zeros((3, 3)), np.zeros((3, 2)))
