"""A page shows the samples that a run left, pixel for pixel and point for point."""

from base64 import b64decode
from pathlib import Path

import numpy as np
import torch
from report.runs import Page, clouds, make_run

from pushforward.data.toys import plane as toy
from pushforward.pictures import read_clouds, write_samples
from pushforward.report import write_report


def test_frames_are_read_back_to_the_samples(tmp_path: Path):
    run = make_run(tmp_path / "run")
    film, (samples, data) = read_clouds(run / "samples"), clouds(Page(write_report([run])))
    low, high = np.array(samples["low"]), np.array(samples["high"])
    unit = 2 * (high - low) / 32767
    assert samples["steps"] == film.steps == [0, 100, 200]
    assert film.data is not None
    for text, frame in zip([*samples["frames"], data["data"]], [*film.frames, film.data], strict=True):
        levels = np.frombuffer(b64decode(text), "<i2").reshape(-1, 2)
        assert (np.abs((low + high) / 2 + levels * unit - frame) <= 0.5001 * unit).all()


def test_images_are_shown_as_they_were_written_and_the_last_one_without_a_script(tmp_path: Path):
    run = make_run(tmp_path / "run", "digits")
    pictures = Page(write_report([run])).all("img")
    names = ["step-000000", "step-000100", "step-000200", "data"]
    for picture, name in zip(pictures, names, strict=True):
        assert b64decode((picture["src"] or "").split(",")[1]) == (run / "samples" / f"{name}.png").read_bytes()
        assert ("hidden" in picture) == (name in names[:2])


def test_points_of_a_class_have_its_colour_and_its_name_on_the_page_of_one_run(tmp_path: Path):
    run, other = make_run(tmp_path / "run"), make_run(tmp_path / "other")
    ring = toy.load("ring8", n_train=2000, n_test=400)
    labels = torch.arange(100) % 8
    (run / "samples" / "data.npz").unlink()
    write_samples(run / "samples", 200, ring.train[:100], ring, labels)
    page = Page(write_report([run]))
    samples, data = clouds(page)
    assert samples["classes"] == labels.tolist()
    assert ring.test_labels is not None
    assert data["classes"] == ring.test_labels.tolist()
    for name in ring.classes or ("",):
        assert f'<span class="chip"></span></span>{name}</span>' in page.source
    assert not any("classes" in cloud for cloud in clouds(Page(write_report([run, other]))))
    np.savez(run / "samples" / "step-000200.npz", x=np.zeros((9, 2)), labels=np.zeros(8, int), names=np.array(["a"]))
    assert not any("classes" in cloud for cloud in clouds(Page(write_report([run]))))
