"""One run: arms share draws by seed and nothing else, budgets are equal, schedules are where they are said to be."""

import time
from dataclasses import dataclass, replace

import pytest
import torch

from pushforward.benches.stability import pace, trial
from pushforward.benches.stability.arms import arms, trials
from pushforward.benches.stability.scores import NAMES, scored
from pushforward.errors import UsageError
from pushforward.randomness import derive
from pushforward.recipes import RECIPES
from pushforward.settings.benches import Stability
from pushforward.training.state import weights

SMALL = Stability(
    moves=(1, 2), divergences=("KL",), gans=("LOGD",), rates=(1e-3,), widths=(8,), critic_steps=(1,), seeds=2,
    seconds=0.4, marks=4, samples=500,
)  # fmt: skip


# ---- Which runs there are


def test_the_grid_is_every_combination_once_and_every_key_is_another():
    asked = Stability()
    every = trials(asked)
    assert len(every) == 14 * 2 * 2 * 2 * 3
    assert len({one.key for one in every}) == len(every)
    assert [one.key for one in trials(asked)] == [one.key for one in every]
    assert len(arms(asked)) == 14
    assert sum(one.legs == 3 for one in every) == len(every) / 3


@pytest.mark.parametrize(
    "change", [{"seconds": 0.5}, {"marks": 5}, {"samples": 600}, {"data": "toy:ring8"}, {"drift": "constant"}]
)
def test_what_is_measured_otherwise_is_another_run(change):
    before, after = ({one.key for one in trials(asked)} for asked in (SMALL, replace(SMALL, **change)))
    assert not before & after


def test_what_more_is_asked_for_leaves_the_runs_that_are_there():
    more = replace(SMALL, seeds=3, moves=(1, 2, 3), rates=(1e-3, 1e-2), out=SMALL.out / "else", workers=1)
    assert {one.key for one in trials(SMALL)} < {one.key for one in trials(more)}


def test_a_new_default_of_a_recipe_is_another_run(monkeypatch):
    first = trials(SMALL)[0]
    before = first.key

    def toy_vgrow(*, steps: int = 1, novelty: float = 0.5): ...

    monkeypatch.setitem(RECIPES, "toy_vgrow", toy_vgrow)
    assert first.key != before


def test_runs_of_one_seed_share_data_and_first_weights_and_those_of_two_share_neither():
    every, compared = [(one, trial.wired(one, 5)) for one in trials(SMALL)], set()
    for one, mine in every:
        for other, theirs in every:
            same = one.options["seed"] == other.options["seed"]
            assert torch.equal(mine.data.train, theirs.data.train) == same
            assert (mine.batches.rows(0).tolist() == theirs.batches.rows(0).tolist()) == same
            nets = [weights(each.method.generator) for each in (mine, theirs)]
            if all(nets[0][name].shape == nets[1][name].shape for name in nets[0]):  # several moves have no waves
                assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0]) == same
                compared.add((one.family, other.family))
    assert ("vgrow", "gan") in compared


def test_what_measures_is_drawn_from_streams_that_nothing_else_draws_from():
    marks = [derive(seed, "judge", mark, part="stability") for seed in range(3) for mark in range(1, 61)]
    others = [derive(seed, purpose, part=part) for seed in range(3) for purpose in ("train", "init", "data", "judge")
              for part in ("", "samples", "rows")]  # fmt: skip
    assert len({*marks, *others}) == len(marks) + len(others)


# ---- Equal budgets


@dataclass
class Burning:
    """A method whose steps take so much CPU time, more by `tilt` at the beginning and less by it at the end."""

    seconds: float
    steps: int
    tilt: float = 0.0

    def learn(self, batches, start=0):
        for step in range(start, 10**9):
            share = min(1.0, step / self.steps)
            until = time.process_time() + self.seconds * (1 + self.tilt * (1 - 2 * share))
            while time.process_time() < until:
                pass
            yield {}

    def sample(self, n, rng=None, labels=None):
        return torch.zeros(n, 2)


@pytest.fixture
def burning(monkeypatch):
    """A recipe of such methods in the place of toy_vgrow."""

    def use(seconds, tilt=0.0):
        whole = RECIPES["toy_gan"](data="toy:ring8", limit=200)

        def recipe(*, steps: int = 1, **_):
            return replace(whole, method=Burning(seconds, steps, tilt), steps=steps)

        monkeypatch.setattr(trial, "RECIPES", {"toy_vgrow": recipe})

    return use


@pytest.mark.parametrize(("seconds", "tilt"), [(0.001, 0.0), (0.02, 0.0), (0.004, 0.9)])
def test_every_method_gets_the_same_cpu_seconds_and_its_schedules_end_with_them(seconds, tilt, burning):
    burning(seconds, tilt)
    one = replace(trials(SMALL)[0], seconds=1.0, held=None)
    found = trial.performed(one)
    assert 0.93 <= found["cpu"] <= 1.0 + 2 * seconds
    assert 0.93 <= found["done"] / found["laid"][-1] <= 1.0
    assert all(len(found["marks"][name]) == 4 for name in NAMES)


def test_a_rehearsal_sees_all_of_a_schedule(burning):
    burning(0.002, 0.9)
    steps, _ = pace.laid_out(lambda count: trial.wired(trials(SMALL)[0], count), 4.0)
    assert steps == pytest.approx(4.0 / 0.002, rel=0.2)  # of its beginning alone, 1,050


def test_seconds_in_which_nothing_can_be_learned_are_refused(burning):
    burning(0.02)
    with pytest.raises(UsageError, match=r"--seconds 0\.05: a step takes"):
        pace.laid_out(lambda count: trial.wired(trials(SMALL)[0], count), 0.05)


def test_one_step_that_passes_several_marks_fills_them_all(burning):
    burning(0.06)
    found = trial.performed(replace(trials(SMALL)[0], seconds=0.6, marks=40, constant=True, held={}))
    assert all(len(found["marks"][name]) == 3 * 40 for name in NAMES)


# ---- Where schedules stand


@pytest.fixture
def seen(monkeypatch):
    """The factor and the rate that the generator learns at, at each look."""
    looks, scored = [], trial.scored

    def spying(experiment, *rest, **more):
        learner = experiment.method.generator
        looks.append((learner.schedule(learner.updates), learner.optimiser.param_groups[0]["lr"]))
        return scored(experiment, *rest, **more)

    monkeypatch.setattr(trial, "scored", spying)
    return looks


@pytest.mark.parametrize("number", [0, 1, 2], ids=["1 move", "2 moves", "GAN"])
def test_rates_fall_as_the_recipe_has_it_and_are_then_held_at_one_floor_for_all(number, seen):
    found = trial.performed(trials(replace(SMALL, floor=0.25))[number])
    assert not found["failed"]
    before, after = seen[:4], seen[4:]
    assert all(rate == pytest.approx(0.25e-3) for _, rate in after[1:])
    if number < 2:
        assert before[0][0] > 0.5
        assert before[-1][0] < 0.1
    else:
        assert all(rate == pytest.approx(1e-3) for _, rate in before)


@pytest.mark.parametrize("number", [0, 2], ids=["VGrow", "GAN"])
def test_without_schedules_every_rate_is_what_it_was_from_beginning_to_end(number, seen):
    found = trial.performed(trials(replace(SMALL, drift="constant"))[number])
    assert found["laid"] == []
    assert len(found["marks"]["modes"]) == 12
    assert all(rate == pytest.approx(1e-3, rel=1e-6) for _, rate in seen)


def test_a_run_whose_numbers_break_off_scores_the_worst_from_there_on():
    one = trials(SMALL)[0]
    found = trial.performed(replace(one, options=one.options | {"rate": 1e30}))
    assert "step" in found["failed"]
    assert found["marks"]["modes"] == [0.0] * 12
    assert found["marks"]["mode_kl"] == [pytest.approx(3.2189, abs=1e-3)] * 12


def test_shape_is_measured_where_a_leg_ends_and_a_perfect_sampler_has_the_widths_of_the_data(monkeypatch):
    whole = RECIPES["toy_gan"](data="toy:ring8", limit=5000)

    class Perfect:
        def sample(self, n, rng=None, labels=None):
            return whole.data.test[:n] if n <= len(whole.data.test) else whole.data.train[:n]

    experiment = replace(whole, method=Perfect())
    full, bare = (scored(experiment, 2000, 0, 1, shape=shape) for shape in (True, False))
    assert full["width"] == pytest.approx(1, abs=0.05)
    assert full["centre"] == pytest.approx(0, abs=0.1)
    assert (full["modes"], bare["modes"], bare["width"]) == (8, 8, None)
    assert all(full[name] == bare[name] for name in ("modes", "high_quality", "mode_kl"))
