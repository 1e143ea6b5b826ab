"""Few samples are the first of many, to the last bit: in every recipe, estimator and command."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from guests.diffusion import experiment as diffusion
from laws.test_streams import THEMSELVES, built, learn
from torch import Tensor

from pushforward import cli
from pushforward.commands.sampling import labels_for
from pushforward.errors import TrainingError
from pushforward.estimators import BridgeSampler, FlowDensityEstimator, FlowGenerator, FlowVAE, LatentFlow, ParticleFlow
from pushforward.randomness import blocks, filled, stream
from pushforward.recipes import RECIPES
from pushforward.settings.options import options_of
from pushforward.training.asking import first_of, stock
from pushforward.training.experiment import Experiment

COUNTS = (1, 2, 17, 20, 40, 64, 65, 100, 300, 1100)
CLASSED = [name for name in RECIPES if "conditional" in options_of(RECIPES[name])]


def asked(experiment: Experiment, n: int, wanted: str | None = None) -> tuple[Tensor, Tensor | None]:
    labels = labels_for(experiment, n, stream(0, "sample", part="labels"), wanted)
    return first_of(experiment, n, stream(0, "sample"), labels), labels


def holds(experiment: Experiment, wanted: str | None = None, *, apart: bool = True) -> None:
    most = stock(experiment.method) or max(COUNTS)
    counts = [n for n in COUNTS if n <= most]
    (whole, classes), distinct = asked(experiment, counts[-1], wanted), set[bytes]()
    for n in counts:
        found, labels = asked(experiment, n, wanted)
        assert found.shape == (n, *experiment.data.event)
        assert torch.equal(found, whole[:n]), n
        assert (labels is None) == (classes is None)
        assert labels is None or classes is None or torch.equal(labels, classes[:n])
        distinct |= {row.numpy().tobytes() for row in found}
    assert not apart or len(distinct) > 0.9 * counts[-1]  # no block is another one again


def test_blocks_lie_where_they_lie_and_hold_less_than_twice_what_is_wanted():
    for n in range(1, 5000):
        cuts = list(blocks(n))
        assert cuts == list(blocks(5000))[: len(cuts)]
        assert cuts[0][0] == 0
        assert all(start + size == after for (start, size), (after, _) in pairwise(cuts))
        assert cuts[-1][0] < n <= sum(cuts[-1]) < max(2 * n, 65)
        assert sum(cuts[-1]) - n < 1024


@pytest.mark.parametrize(("numbers", "least"), [(1, 1024), (16, 1024), (17, 512), (64, 256), (10**6, 256)])
def test_rows_that_are_carried_far_lie_in_fewer_blocks(numbers, least):
    cuts = list(blocks(10**5, numbers))
    assert cuts[0] == (0, least)
    assert cuts[-1][1] == 16 * least
    assert cuts == list(blocks(2 * 10**5, numbers))[: len(cuts)]
    assert all(start + size == after for (start, size), (after, _) in pairwise(cuts))


def test_what_is_filled_up_keeps_its_rows_and_repeats_the_last():
    x = torch.randn(10, 3)
    assert torch.equal(filled(x, 2, 4), x[2:6])
    assert torch.equal(filled(x, 8, 64), x[[8] + 63 * [9]])


@pytest.mark.parametrize("name", RECIPES)
def test_in_every_recipe(name):
    experiment = built(name)
    holds(experiment, apart=False)  # before the first step, where nothing is recorded yet
    learn(experiment)
    holds(experiment)


@pytest.mark.parametrize("name", CLASSED)
def test_with_classes_drawn_or_wanted(name):
    kinds = {"counts": "toy:counts", "toy": "toy:ring8", "density": "toy:ring8"}
    found = next((data for kind, data in kinds.items() if kind in name), "digits")
    data = {} if name.endswith("_digits") else {"data": found}
    experiment = built(name, conditional=True, **data)
    learn(experiment)
    holds(experiment)
    if stock(experiment.method) is None:
        holds(experiment, "second,first,second" if "counts" in name else "3,1,4")


@pytest.mark.parametrize("name", THEMSELVES)
def test_of_particles_that_can_make_no_points(name):
    experiment = built(name, **THEMSELVES[name])
    learn(experiment)
    assert stock(experiment.method) is not None
    holds(experiment)


def test_of_a_stochastic_equation_with_noise_at_every_step(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(200, 2)))
    experiment = diffusion(data=str(tmp_path / "x.npy"), steps=3)
    learn(experiment)
    holds(experiment)


def test_a_number_that_is_not_finite_counts_where_it_is_asked_for_alone():
    experiment: Any = built("toy_vgrow")

    class Broken:
        def sample(self, n, rng=None, labels=None):
            return (
                torch.arange(n)[:, None] / torch.ones(n, 2) + torch.where(torch.arange(n) == 30, torch.inf, 0)[:, None]
            )

    experiment.method = Broken()
    assert first_of(experiment, 30, stream(0, "sample")).shape == (30, 2)
    with pytest.raises(TrainingError, match=r"asked for 31 samples .* got 1 that are not finite"):
        first_of(experiment, 31, stream(0, "sample"))


def _moons(n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 2)), rng.integers(3, size=n)


x, y = _moons()
FITTED: dict[str, Any] = {
    "bridge": lambda: BridgeSampler(steps=3, width=8, random_state=0).fit(x),
    "bridge of classes": lambda: BridgeSampler(steps=3, width=8, random_state=0).fit(x, y),
    "density": lambda: FlowDensityEstimator(steps=3, width=8, random_state=0).fit(x),
    "density of classes": lambda: FlowDensityEstimator(steps=3, width=8, random_state=0).fit(x, y),
    "generator": lambda: FlowGenerator(steps=3, random_state=0).fit(x),
    "generator of classes": lambda: FlowGenerator(steps=3, random_state=0).fit(x, y),
    "generator of images": lambda: FlowGenerator(steps=2, width=4, random_state=0).fit(
        x.repeat(8, 1).reshape(-1, 4, 4)
    ),
    "particles": lambda: ParticleFlow(steps=3, warmup=1, random_state=0).fit(x),
    "particles of classes": lambda: ParticleFlow(steps=3, warmup=1, random_state=0).fit(x, labels=y),
    "particles from a source": lambda: ParticleFlow(steps=3, warmup=1, random_state=0).fit(x, x + 1),
    "particles of classes from a source": lambda: ParticleFlow(steps=3, warmup=1, random_state=0).fit(
        x, x + 1, labels=y, source_labels=y
    ),
    "particles that record nothing": lambda: ParticleFlow(steps=3, warmup=1, record=0, random_state=0).fit(x),
    "autoencoder": lambda: FlowVAE(prior="maf", steps=3, width=8, random_state=0).fit(x),
    "autoencoder of images": lambda: FlowVAE(2, prior="mixture", steps=2, width=8, random_state=0).fit(
        (x.repeat(8, 1) > 0).reshape(-1, 4, 4)
    ),
    "codes": lambda: LatentFlow("pca:2", steps=3, warmup=1, random_state=0).fit(x),
    "particles some of which stay": lambda: ParticleFlow(steps=3, warmup=1, unmatched="stay", random_state=0).fit(
        x, np.concatenate([x[:60] + 1, x[60:] + 20])
    ),
    "codes some of which follow": lambda: LatentFlow(
        "pca:2", steps=3, warmup=1, unmatched="follow", random_state=0
    ).fit(x, np.concatenate([x[:60] + 1, x[60:] + 20])),
    "codes from a source": lambda: LatentFlow("pca:2", steps=3, warmup=1, random_state=0).fit(x, x + 1),
}


@pytest.mark.parametrize("name", FITTED)
def test_in_every_estimator(name):
    fitted = FITTED[name]()
    whole = fitted.sample(max(COUNTS), random_state=4)
    for n in COUNTS:
        assert np.array_equal(fitted.sample(n, random_state=4), whole[:n]), n
    assert not np.array_equal(fitted.sample(max(COUNTS), random_state=5), whole)
    given: dict[str, Any] = {
        "generator of classes": {"y": 1}, "density of classes": {"y": 1}, "particles of classes": {"labels": 1},
    }.get(name, {})  # fmt: skip
    if given:
        assert np.array_equal(
            fitted.sample(20, random_state=4, **given), fitted.sample(70, random_state=4, **given)[:20]
        )


@pytest.mark.parametrize(
    "name",
    ["particles from a source", "codes from a source", "particles some of which stay", "codes some of which follow"],
)
def test_particles_are_all_shown_before_one_is_shown_again(name):
    fitted = FITTED[name]()
    found = fitted.sample(2 * len(x), random_state=1)
    for half in (found[: len(x)], found[len(x) :]):
        assert {row.tobytes() for row in half} == {row.tobytes() for row in fitted.particles_}
    assert not np.array_equal(found[: len(x)], found[len(x) :])


def call(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_on_the_command_line_in_the_files_that_it_writes(tmp_path: Path):
    run = tmp_path / "run"
    np.savez(tmp_path / "data.npz", x=x, y=y)
    words = ["--data", tmp_path / "data.npz:x", "--labels", "y", "--conditional", "--steps", 2, "--width", 8]
    assert call("train", "toy_vgrow", *words, "--run", run) == 0
    for n in (20, 40):
        assert call("sample", run, "-n", n, "--seed", 3, "--out", tmp_path / f"{n}.npz") == 0
    few, many = np.load(tmp_path / "20.npz"), np.load(tmp_path / "40.npz")
    assert np.array_equal(few["x"], many["x"][:20])
    assert np.array_equal(few["labels"], many["labels"][:20])
