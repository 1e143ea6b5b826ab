"""What an evaluation keeps of codes: where a bound goes, known where laws are, and pictures that mean what they say."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from pushforward.commands.measuring import measure_run
from pushforward.commands.measuring.codes import keep_codes
from pushforward.commands.watching import Until
from pushforward.data import Batches
from pushforward.data.toys import plane
from pushforward.data.toys.digits import digits
from pushforward.densities.aggregate import Aggregate
from pushforward.densities.diagonal import DiagonalNormal
from pushforward.densities.laws import FullNormal, Law, StandardNormal
from pushforward.errors import DataError
from pushforward.recipes import RECIPES
from pushforward.report.kept.codes import FILE, Codes, read_codes
from pushforward.training.experiment import Experiment
from pushforward.types import Batch, Labels, Logs, Randomness, Samples, Scores

ROWS = torch.randn(1500, 2, generator=torch.Generator().manual_seed(0))
PLANE = replace(
    plane.load("gaussians4", n_train=400, n_test=200), train=ROWS[:400], test=ROWS, test_labels=torch.arange(1500) % 2,
    classes=("north", "south"), decode=lambda x: x.double().numpy(), unit=None,
)  # fmt: skip
DEVIATION = 0.5


@dataclass
class Coded:
    """A guest: q(z|x) = N(c x, 0.25), p(x|z) = N(z, I), so that over normal rows q is N(0, I) on average."""

    prior: Law = field(default_factory=lambda: StandardNormal(2))
    posterior_flow: Literal["none", "common", "own"] = "none"
    discrete: bool = False

    def learn(self, batches: Iterable[Batch], start: int = 0) -> Iterator[Logs]:
        yield from ()

    def sample(self, n: int, rng: Randomness | None = None, labels: Labels | None = None) -> Samples:
        return torch.zeros(n, 2)

    def base(self, x: Samples, labels: Labels | None = None) -> tuple[Tensor, Tensor]:
        mean = math.sqrt(1 - DEVIATION**2) * x.flatten(1)[:, :2]
        return mean, torch.full_like(mean, math.log(DEVIATION))

    def inferred(self, x: Samples, e: Tensor, labels: Labels | None = None) -> tuple[Tensor, Scores, Scores]:
        base = DiagonalNormal(*self.base(x))
        z = base.at(e)
        return z, StandardNormal(2).log_prob(x.flatten(1)[:, :2] - z), base.log_prob(z)

    def prior_codes(self, n: int, rng: Randomness) -> Tensor:
        return self.prior.sample(n, rng).detach()

    def log_prior(self, z: Tensor) -> Scores:
        return self.prior.log_prob(z).detach()

    def decode(self, z: Tensor) -> Samples:
        return z


@dataclass
class Bent(Coded):
    """One whose codes, and whose prior, are taken through an affine map that is the same for all rows."""

    posterior_flow: Literal["none", "common", "own"] = "common"
    turn: Tensor = field(default_factory=lambda: torch.tensor([[3.0, 1.0], [0.0, -0.2]]))

    def inferred(self, x: Samples, e: Tensor, labels: Labels | None = None) -> tuple[Tensor, Scores, Scores]:
        z, likelihood, own = super().inferred(x, e)
        return z @ self.turn.T + 5, likelihood, own - self.turn.det().abs().log()

    def log_prior(self, z: Tensor) -> Scores:
        return super().log_prior((z - 5) @ self.turn.inverse().T) - self.turn.det().abs().log()


class Silent(Coded):
    """One that draws from its prior and says nothing of its density."""

    log_prior = None


class Bounding(Coded):
    """One that answers with a bound."""

    asked = 0
    protocol = "a bound by 3 codes"

    def log_prob(self, x: Samples, labels: Labels | None = None) -> Scores:
        return self.bounded(x)[0]

    def bounded(self, x: Samples, labels: Labels | None = None) -> tuple[Scores, Scores]:
        self.asked += len(x)
        return x[:, 0], torch.full((len(x),), 2.5)


@dataclass
class Painting(Coded):
    """One of images, whose first pixels are its code."""

    def decode(self, z: Tensor) -> Samples:
        x = torch.full((len(z), 1, 8, 8), -1.0)
        x[:, 0, 0, :2] = z / 4
        return x


def looked(folder: Path, method: Coded, data=PLANE, until: Until = Until()) -> Codes | None:
    keep_codes(folder, Experiment(method, Batches(data.train, 8), data, 1), 7, 0, until)
    found, damaged = read_codes(folder / "samples")
    assert damaged == []
    return found


def seen(folder: Path, method: Coded, data=PLANE) -> Codes:
    found = looked(folder, method, data)
    assert found is not None
    return found


def shifted(*by: float) -> FullNormal:
    return FullNormal.of(torch.tensor(by), torch.eye(2))


def test_bits_back_are_those_of_the_bound_for_levels_and_unknown_for_a_continuum(tmp_path):
    one = seen(tmp_path / "a", Coded(discrete=True)).account
    assert one.bits_back == pytest.approx(-one.elbo / (PLANE.test[0].numel() * math.log(2)), rel=1e-9)
    assert math.isnan(seen(tmp_path / "b", Coded()).account.bits_back)


@pytest.mark.parametrize("method", [Coded(), Coded(shifted(1.0, 2.0)), Bent(), Bent(shifted(1.0, 2.0))])
def test_the_account_adds_up(tmp_path, method):
    one = seen(tmp_path, method).account
    assert one.rows == 1500
    assert one.most == pytest.approx(math.log(1500))
    assert one.elbo == pytest.approx(one.reconstruction - one.information - one.marginal, abs=1e-6)
    assert one.divergence == pytest.approx(one.information + one.marginal, abs=1e-6)


def test_each_part_is_what_it_is_in_closed_form(tmp_path):
    kept = seen(tmp_path, Coded())
    one, few = kept.account, 4 / math.sqrt(1500)
    # c = sqrt(0.75): E|x - z|^2 = 2 (1 - c)^2 + 2 / 4, KL = log 2 + (0.25 + 0.75 - 1) / 2 for each number
    c = math.sqrt(1 - DEVIATION**2)
    assert one.reconstruction == pytest.approx(-math.log(2 * math.pi) - (1 - c) ** 2 - DEVIATION**2, abs=few)
    assert one.information == pytest.approx(2 * math.log(2), abs=few)
    assert one.divergence == pytest.approx(2 * math.log(2), abs=few)
    assert abs(one.marginal) < 0.02
    np.testing.assert_allclose(kept.rates, math.log(2), atol=few)
    np.testing.assert_allclose(kept.told, math.log(2), atol=few)
    assert kept.active.all()


def test_a_prior_that_is_the_aggregated_posterior_has_nothing_left_to_win(tmp_path):
    method = Coded()
    method.prior = Aggregate(DiagonalNormal(*method.base(ROWS.double())))
    assert seen(tmp_path, method).account.marginal == pytest.approx(0, abs=1e-6)


def test_a_prior_that_is_elsewhere_costs_its_distance_in_the_marginal_alone(tmp_path):
    near, far = seen(tmp_path / "a", Coded()).account, seen(tmp_path / "b", Coded(shifted(1.0, 2.0))).account
    assert far.information == near.information
    assert far.marginal == pytest.approx((1 + 4) / 2, abs=4 * far.error)
    assert 0.03 < far.error < 0.1


def test_a_flow_of_all_rows_changes_no_number_of_the_account(tmp_path):
    plain, bent = seen(tmp_path / "a", Coded(shifted(1.0, 0.0))), seen(tmp_path / "b", Bent(shifted(1.0, 0.0)))
    for name in ("reconstruction", "information", "marginal", "elbo", "error"):
        assert getattr(bent.account, name) == pytest.approx(getattr(plain.account, name), abs=1e-5)
    np.testing.assert_allclose(bent.rates, plain.rates)
    assert not np.allclose(bent.middle, plain.middle)
    assert bent.densities.aggregate is None


def test_a_flow_that_sees_the_row_leaves_the_rate_as_a_whole(tmp_path):
    plain, one = seen(tmp_path / "a", Coded()).account, seen(tmp_path / "b", Coded(posterior_flow="own")).account
    assert np.isnan([one.information, one.marginal, one.error]).all()
    assert (one.divergence, one.elbo) == (plain.divergence, plain.elbo)


def test_without_a_density_of_the_prior_what_codes_tell_is_known_and_the_bound_is_not(tmp_path):
    plain, one = seen(tmp_path / "a", Coded()), seen(tmp_path / "b", Silent())
    assert one.account.information == plain.account.information
    assert one.account.reconstruction == plain.account.reconstruction
    assert np.isnan([one.account.marginal, one.account.divergence, one.account.elbo]).all()
    assert one.densities.prior is None
    np.testing.assert_allclose(one.densities.aggregate, plain.densities.aggregate)


def test_densities_of_rows_are_told_in_data_units_and_those_of_levels_as_they_are(tmp_path):
    wide = replace(PLANE, decode=lambda x: x.double().numpy() * [3.0, 0.5] + [5.0, -2.0])
    plain, scaled = seen(tmp_path / "a", Coded()), seen(tmp_path / "b", Coded(), wide)
    for name in ("reconstruction", "elbo"):
        change = getattr(scaled.account, name) - getattr(plain.account, name)
        assert change == pytest.approx(-math.log(1.5), abs=1e-9)
    assert scaled.account.marginal == plain.account.marginal
    assert seen(tmp_path / "c", Coded(discrete=True), wide).account.elbo == plain.account.elbo


def test_densities_in_the_plane_are_those_of_prior_and_mixture_and_lie_where_they_say(tmp_path):
    kept = seen(tmp_path, Coded(shifted(1.0, -1.0)))
    across, up = np.meshgrid(kept.densities.across, kept.densities.up)
    at = torch.tensor(np.stack([across, up], -1))
    np.testing.assert_allclose(kept.densities.prior, shifted(1.0, -1.0).log_prob(at).detach().exp(), atol=1e-6)
    own = Aggregate(DiagonalNormal(*Coded().base(ROWS.double()))).log_prob(at).exp()
    np.testing.assert_allclose(kept.densities.aggregate, own, atol=1e-6)
    cell = np.diff(kept.densities.across)[0] * np.diff(kept.densities.up)[0]
    assert kept.densities.aggregate.sum() * cell == pytest.approx(1, abs=0.02)


def test_rows_keep_their_classes_and_codes_their_places(tmp_path):
    kept = seen(tmp_path, Coded())
    assert (kept.step, kept.names, len(kept.middle), len(kept.prior)) == (7, ("north", "south"), 1000, 1000)
    assert kept.labels.tolist() == [0, 1] * 500
    np.testing.assert_allclose(kept.middle, math.sqrt(0.75) * ROWS[:1000], rtol=1e-5)
    assert (kept.drawn - kept.middle).std() == pytest.approx(DEVIATION, rel=0.05)


def test_a_number_that_no_row_moves_is_not_active_and_tells_nothing(tmp_path):
    class Half(Coded):
        def base(self, x, labels=None):
            mean, log_deviation = super().base(x)
            return mean * torch.tensor([1.0, 0.0]), log_deviation * torch.tensor([1.0, 0.0])

    kept = seen(tmp_path, Half())
    assert kept.active.tolist() == [True, False]
    assert kept.rates[1] == 0
    assert kept.told[1] == pytest.approx(0, abs=1e-6)


def test_a_bound_of_the_method_is_asked_for_as_far_as_time_allows(tmp_path):
    method = Bounding()
    bound = seen(tmp_path / "a", method).bound
    assert (bound.rows, bound.protocol, method.asked) == (
        256,
        "a bound by 3 codes; 2.5 draws of a row count, on average",
        256,
    )
    assert bound.value == pytest.approx(float(ROWS[:256, 0].mean()), abs=1e-6)

    class Slow(Bounding):
        def inferred(self, x, e, labels=None):
            time.sleep(0.02)
            return super().inferred(x, e)

    found = looked(tmp_path / "b", Slow(), until=Until(time.monotonic() + 0.5))
    assert found is not None
    assert found.bound is None
    assert looked(tmp_path / "c", Coded(), until=Until(time.monotonic() - 1)) is None


def test_images_stand_over_their_reconstructions_and_each_walk_moves_its_number_alone(tmp_path):
    data = digits(limit=200)
    data = replace(data, test=torch.randn(60, 1, 8, 8).clamp(-1, 1), test_labels=None)
    kept = seen(tmp_path, Painting(), data)
    pictures = kept.pictures
    assert np.array_equal(pictures.originals, data.decode(data.test[:8]))
    assert np.array_equal(pictures.reconstructions, data.decode(Painting().decode(torch.tensor(kept.middle[:8]))))
    assert pictures.walked.tolist() == np.argsort(-kept.rates).tolist()
    assert pictures.traversals.shape == (2, 7, 8, 8)
    assert pictures.samples.shape == (16, 8, 8)
    for row, k in enumerate(pictures.walked.tolist()):
        way = pictures.traversals[row, :, 0, :2].astype(int)
        assert (np.diff(way[:, k]) > 0).all()
        assert (way[:, 1 - k] == pictures.reconstructions[0, 0, 1 - k]).all()
    assert kept.labels is None


def test_an_evaluation_keeps_codes_and_of_a_method_without_them_none(tmp_path):
    class Plain:
        learn, sample = Coded.learn, Coded.sample

    measure_run(tmp_path, "last", Experiment(Plain(), Batches(PLANE.train, 8), PLANE, 1), 3)
    assert not (tmp_path / "samples").exists()
    measure_run(tmp_path, "last", Experiment(Coded(), Batches(PLANE.train, 8), PLANE, 1), 3)
    found = read_codes(tmp_path / "samples")[0]
    assert found is not None
    assert found.step == 3


@pytest.mark.parametrize("wrong", [lambda z, p, q: (z[:, :1], p, q), lambda z, p, q: (z, p[:, None], q)])
def test_codes_of_another_form_are_refused_in_a_line(tmp_path, wrong):
    class Wrong(Coded):
        def inferred(self, x, e, labels=None):
            return wrong(*super().inferred(x, e))

    with pytest.raises(DataError, match=r"give codes \(1500, 2\)"):
        looked(tmp_path, Wrong())
    assert not (tmp_path / "samples" / FILE).exists()


@pytest.mark.parametrize(
    ("recipe", "options"),
    [
        ("vae_digits", {}),
        ("vae_toy", {"posterior": "maf"}),
        ("vae_toy", {"posterior": "nsf", "context": 2}),
        ("vae_latent", {"learner": "vgrow", "prior_steps": 3, "prior_width": 8}),
    ],
)
def test_what_recipes_make_has_codes(tmp_path, recipe, options):
    experiment = RECIPES[recipe](**{"steps": 3, "batch": 8, "width": 8, "seed": 0} | options)
    for _, _logs in zip(range(experiment.steps), experiment.method.learn(experiment.batches)):
        pass
    keep_codes(tmp_path, experiment, experiment.steps, 0)
    kept = read_codes(tmp_path / "samples")[0]
    assert kept is not None
    one = kept.account
    if recipe == "vae_latent":
        assert math.isnan(one.elbo)
    else:
        assert one.elbo == pytest.approx(one.reconstruction - one.divergence, abs=1e-6)
        assert kept.bound.value > one.elbo - 5 * one.spread
    assert math.isnan(one.information) == ("context" in options)
    assert (kept.pictures is None) == (recipe == "vae_toy")
