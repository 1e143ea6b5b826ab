"""Named random streams: no purpose draws another's numbers, in any recipe, estimator or command."""

import ast
import inspect
from collections import Counter
from functools import partial
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from sklearn.datasets import make_moons
from torch import Tensor

import pushforward
from pushforward import cli, randomness
from pushforward.commands.rebuilding import rebuild
from pushforward.commands.sampling import labels_for
from pushforward.data import Batches, load
from pushforward.data.raw import chosen
from pushforward.data.toys.lift import lift
from pushforward.estimators import BridgeSampler, FlowDensityEstimator, FlowGenerator, FlowVAE, LatentFlow, ParticleFlow
from pushforward.methods.latent.in_code_space import InCodeSpace
from pushforward.randomness import Noise, Purpose, derive, generator, seeded, stream, word
from pushforward.recipes import RECIPES
from pushforward.settings.options import options_of
from pushforward.training.asking import stock
from pushforward.training.experiment import Experiment

PURPOSES = get_args(Purpose)
GOLDEN = 0xE592B5481638DF39 >> 1
LEAST = {"width": 8, "steps": 3, "batch": 8, "particles": 20, "tracers": 4, "warmup": 1, "codec_steps": 2, "record": 1}
MOVING = [name for name in RECIPES if "particles" in options_of(RECIPES[name])]
THEMSELVES = {
    "few_particles": {"source": "class"},
    "flow_particles": {"record": 0},
    "heavy_tails": {},
    "digit_to_digit": {},
}
"""Recipes, and options, whose samples can only be their particles: nothing is recorded, or they started at data."""


def rows(x: Tensor | np.ndarray) -> set[bytes]:
    """The rows (n, *event), to the last bit."""
    return {row.tobytes() for row in np.ascontiguousarray(torch.as_tensor(x).detach().cpu().numpy())}


def test_a_stream_is_what_the_hash_of_its_name_says():
    said = b"pushforward\x00" + b"3\x00" + b"train\x00" + b"leg\x00" + b"7"
    assert derive(3, "train", 7, part="leg") == int.from_bytes(sha256(said).digest()[:8], "big") // 2
    assert derive(0, "init") == GOLDEN  # printf 'pushforward\0000\000init\000\0000' | sha256sum
    assert word(3, "train", 7, part="leg") == derive(3, "train", 7, part="leg") % 2**32
    assert torch.equal(stream(0, "init").normal(9), Noise(GOLDEN).normal(9))
    assert generator(0, "init").random() == np.random.default_rng(GOLDEN).random()


def test_streams_of_other_seeds_purposes_parts_and_counters_share_no_row():
    names: list[Any] = [
        (seed, name, k, part) for seed in (0, 1) for name in PURPOSES for k in (0, 1) for part in ("", "a")
    ]
    torches = [rows(stream(seed, name, k, part=part).normal(500, 2)) for seed, name, k, part in names]
    arrays = [rows(generator(seed, name, k, part=part).standard_normal((500, 2))) for seed, name, k, part in names]
    for found in (torches, arrays):
        assert sum(map(len, found)) == len(set().union(*found)) == 500 * len(names)
    assert len({derive(seed, name, k, part=part) % 2**32 for seed, name, k, part in names}) == len(names)


def test_equal_names_give_equal_bytes_on_any_number_of_processes():
    one, ranks = stream(5, "train"), [stream(5, "train") for _ in range(2)]
    for rank, noise in enumerate(ranks):
        noise.rank, noise.world = rank, 2
    joint = one.normal(8, 3)
    assert torch.equal(torch.stack([noise.normal(4, 3) for noise in ranks], 1).flatten(0, 1), joint)
    assert torch.equal(stream(5, "train").normal(8, 3), joint)


def test_nets_built_apart_begin_with_other_weights_and_leave_the_global_generator_alone():
    before, drawn = torch.get_rng_state(), list[Tensor]()
    for seed, part in ((0, ""), (0, "critic"), (1, ""), (0, "")):
        with seeded(seed, part):
            drawn.append(torch.randn(50))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(drawn[0], drawn[3])
    assert not any(torch.equal(x, y) for x, y in combinations(drawn[:3], 2))


class Watched:
    """Every stream that is opened, and every row of real numbers that a `Noise` hands out, with its source."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.rows = Counter[tuple[Any, ...]](), dict[bytes, set[Noise]]()
        known, own = randomness.derive, Noise._own

        def derive(seed: int, name: Purpose, counter: int = 0, *, part: str = "") -> int:
            self.opened[seed, name, part, counter] += 1
            return known(seed, name, counter, part=part)

        def spy(noise: Noise, joint: Tensor) -> Tensor:
            if joint.is_floating_point() and joint.numel():
                parts = joint.flatten(1) if joint.dim() > 1 and joint[0].numel() > 1 else joint.reshape(1, -1)[:, :16]
                for row in rows(parts):
                    self.rows.setdefault(row, set()).add(noise)
            return own(noise, joint)

        monkeypatch.setattr(randomness, "derive", derive)
        monkeypatch.setattr(Noise, "_own", spy)

    @property
    def shared(self) -> int:
        """Rows that two sources handed out."""
        return sum(len(sources) > 1 for sources in self.rows.values())


def built(name: str, **options: Any) -> Experiment:
    known = options_of(RECIPES[name])
    least = {name: value for name, value in LEAST.items() if name in known and type(known[name].default) is not bool}
    return RECIPES[name](**least | options)


def learn(experiment: Experiment) -> None:
    for _ in zip(range(experiment.steps), experiment.method.learn(experiment.batches)):
        pass


def labels(experiment: Experiment, n: int) -> Tensor | None:
    return labels_for(experiment, n, stream(0, "sample", part="labels"), None)


def sampled(experiment: Experiment, n: int) -> Tensor:
    return experiment.method.sample(n, stream(0, "sample"), labels(experiment, n))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_opens_every_stream_once_and_no_row_is_drawn_twice(name, monkeypatch):
    watched = Watched(monkeypatch)
    experiment = built(name)
    learn(experiment)
    n = min(20, stock(experiment.method) or 20)
    experiment.method.sample(n, stream(0, "judge", part="samples"), labels_for(experiment, n, Noise(0), None))
    found = sampled(experiment, n)
    learned = {key: count for key, count in watched.opened.items() if key[1] != "evaluate"}
    assert {"init", "data", "train", "judge", "sample"} - {key[1] for key in learned} <= {"init"}
    assert max(learned.values()) == 1, [key for key, count in learned.items() if count > 1]
    assert watched.shared == 0
    assert watched.rows
    assert torch.equal(sampled(experiment, n), found)


@pytest.mark.parametrize("name", [name for name in MOVING if name != "digit_to_digit"])
def test_samples_are_neither_particles_nor_their_starts(name):
    experiment = built(name, **({"record": True} if name == "heavy_tails" else {}))
    method: Any = experiment.method
    # in code space the codes, for decoding must not hide that two are equal
    inner = method.method if isinstance(method, InCodeSpace) else method
    before = rows(inner.particles)
    learn(experiment)
    assert stock(method) is None
    found, codes = rows(sampled(experiment, 20)), rows(inner.sample(20, stream(0, "sample"), labels(experiment, 20)))
    assert len(found) == 20
    assert not found & rows(method.particles)
    assert not codes & (rows(inner.particles) | before)


@pytest.mark.parametrize("name", THEMSELVES)
def test_particles_that_can_make_no_points_show_themselves_each_once(name):
    experiment = built(name, **THEMSELVES[name])
    learn(experiment)
    method: Any = experiment.method
    assert stock(method) == len(method.particles)
    assert rows(sampled(experiment, len(method.particles))) == rows(method.particles)


def test_the_order_of_batches_the_limit_and_a_lift_are_drawn_apart():
    n = 200
    x = torch.arange(n)
    order, split = Batches(x, n, seed=0).rows(0), np.random.default_rng(0).permutation(n)
    assert (order == split).mean() < 0.1
    assert set(chosen(n, 50, 0)) != set(split[:50])
    plane, high = load("toy:gaussians2"), lift(load("toy:gaussians2"), 5, noise=1.0)
    assert not rows(plane.train) & rows(high.train[:, :2].contiguous())
    assert high.split.sha256 != plane.split.sha256 != lift(load("toy:gaussians2"), 5, noise=0.5).split.sha256


ESTIMATORS: dict[str, Any] = {
    "particles": lambda seed: ParticleFlow(steps=5, warmup=3, random_state=seed),
    "latent": lambda seed: LatentFlow("pca:2", steps=5, warmup=2, random_state=seed),
    "generator": lambda seed: FlowGenerator(steps=5, random_state=seed),
    "bridge": lambda seed: BridgeSampler(steps=5, width=8, random_state=seed),
    "autoencoder": lambda seed: FlowVAE(steps=5, width=8, prior="vamp", random_state=seed),
    "density": lambda seed: FlowDensityEstimator(steps=5, width=8, random_state=seed),
}
X = make_moons(300, noise=0.05, random_state=0)[0]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_samples_nothing_that_it_has_drawn_before(name, monkeypatch):
    watched = Watched(monkeypatch)
    model = ESTIMATORS[name](0).fit(X)
    found = model.sample(300, random_state=0)
    assert max(watched.opened.values()) == 1
    assert watched.shared == 0
    assert len(rows(found)) == 300
    assert not rows(found) & rows(X)
    if name in ("particles", "latent"):
        assert not rows(found) & rows(model.particles_)
    assert np.array_equal(found, model.sample(300, random_state=0))
    assert not rows(found) & rows(model.sample(300, random_state=1))


@pytest.mark.parametrize("make", [ParticleFlow, partial(LatentFlow, "pca:2"), partial(LatentFlow, "autoencoder:2")])
def test_who_has_a_counterpart_is_found_by_streams_of_its_own(make, monkeypatch):
    watched = Watched(monkeypatch)
    source = np.concatenate([X, X[:150] + 9, X, X, X[::-1], X, X, X])  # more rows than are looked at
    make(steps=5, warmup=3, unmatched="follow", random_state=0).fit(np.concatenate([X + 0.1] * 8), source)
    assert max(watched.opened.values()) == 1, [key for key, count in watched.opened.items() if count > 1]
    assert watched.shared == 0


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_random_state_keeps_the_contract_of_scikit_learn(name):
    one, two = (ESTIMATORS[name](np.random.RandomState(7)).fit(X) for _ in range(2))
    state = np.random.RandomState(3)
    first, second = one.sample(50, random_state=state), one.sample(50, random_state=state)
    assert np.array_equal(first, two.sample(50, random_state=np.random.RandomState(3)))
    assert not rows(first) & rows(second)
    assert not rows(one.sample(50)) & rows(one.sample(50))


def test_the_command_line_samples_new_points(tmp_path):
    run, out = tmp_path / "run", tmp_path / "samples.npz"
    small = {"limit": 400, "steps": 20, "particles": 100, "batch": 100, "warmup": 5}
    for words in (
        ["train", "toy_particles", *(f"--{name}={value}" for name, value in small.items()), "--run", str(run)],
        ["sample", str(run), "-n", "200", "--out", str(out)],
    ):
        with pytest.raises(SystemExit) as stop:
            cli.main(words)
        assert not stop.value.code
    experiment, _ = rebuild(run)
    method: Any = experiment.method
    found = np.load(out)["x"]
    assert len(rows(found)) == 200
    assert not rows(found) & rows(experiment.data.decode(method.particles))
    start = RECIPES["toy_particles"](**small).method
    assert not rows(found) & rows(experiment.data.decode(start.particles))


PLAIN = {
    "data/dataset.py": "a split is what the data are to a run: old runs must find theirs",
    "data/toys/counts.py": "so are the counts of a toy",
    "data/toys/plane.py": "and its points",
    "densities/mixture.py": "a generator of torch's turned into one of numpy's, by a draw of its own",
    "metrics/networks/baselines.py": "the weights of a random network are its identity, which stored numbers name",
    "randomness.py": "the home",
}
SOURCES = {"default_rng", "manual_seed", "Noise", "RandomState", "seed"}


def test_the_library_makes_no_random_source_but_named_streams():
    root, found = Path(inspect.getfile(pushforward)).parent, set[str]()
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in SOURCES:
                    found.add(file.relative_to(root).as_posix())
    assert found == set(PLAIN)
