"""Recipes: checked options, equal seeds give equal weights, and every one of them learns a step."""

import inspect
import math

import numpy as np
import pytest
import torch

from pushforward.divergences import KL_LIP, W1, logistic
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.flows.local.handover import Handover
from pushforward.methods.latent.in_code_space import InCodeSpace
from pushforward.nets import mlp
from pushforward.nets.blocks import FourierFeatures
from pushforward.recipes import RECIPES
from pushforward.recipes.parts.checks import arguments_of, recipe
from pushforward.settings.groups import Loop, Pace
from pushforward.settings.options import options_of
from pushforward.training.loop import train
from pushforward.training.state import weights

VARIANTS = [(name, {}) for name in RECIPES] + [
    ("gan_images", {"spectral": True}),
    ("vgrow_images", {"preset": "paper", "net": "resnet"}),
    ("vgrow_images", {"conditional": True, "net": "resnet", "norm": "pixel"}),
    ("vgrow_digits", {"conditional": True, "moves": 1}),
    ("vgrow_digits", {"moves": 3, "radius": 0.5}),
    ("toy_latent", {"codec": "pca:2", "compare": "data"}),
    ("latent_particles", {"codec": "autoencoder:4", "net": "convolutional", "codec_rows": 64, "limit": 50}),
    ("latent_particles", {"conditional": True, "distil_steps": 5}),
    ("digit_to_digit", {"codec": "none"}),
    ("digit_to_digit", {"codec": "autoencoder:4", "source": "5", "target": "8"}),
    ("toy_particles", {"critic": "penalty", "scheme": "ab3", "data": "toy:four_modes", "conditional": True}),
    ("toy_particles", {"divergence": "alpha_lip(2)", "refit": True, "scheme": "heun"}),
    *[("flow_particles", {"flow": flow}) for flow in ("sliced", "mmd", "energy", "kale", "kernel_gpa", "svgd", "ksd")],
    *[("flow_particles", {"flow": flow}) for flow in ("drift", "langevin", "metropolis")],
    ("bridge_toy", {"conditional": True, "ratio": True}),
    ("bridge_digits", {"conditional": True}),
    ("bridge_digits", {"law": "linear"}),
    ("score_images", {"law": "geometric"}),
    ("bridge_images", {"ratio": True, "dropout": 0.1}),
    *[("density_toy", {"flow": flow, "conditional": True, "data": "toy:ring8"}) for flow in ("maf", "realnvp")],
    ("density_table", {"whiten": False, "dequantise": False}),
    ("toy_vgrow", {"contrast": "dual", "divergence": "HELLINGER", "pool": 2, "moves": 2, "fits": 2}),
]


def built(name: str, options: dict, seed: int) -> dict[str, torch.Tensor]:
    least = {"width": 8, "steps": 3, "batch": 8, "particles": 20, "tracers": 4, "warmup": 2}
    small = {option: value for option, value in least.items() if option in options_of(RECIPES[name])}
    experiment = RECIPES[name](**small | options, seed=seed)
    steps = experiment.method.learn(experiment.batches)
    next(steps)
    return weights(experiment.method)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=str)
def test_a_step_is_a_function_of_the_seed_and_of_nothing_else(name, options):
    torch.manual_seed(1)
    one = built(name, options, 3)
    torch.manual_seed(2)
    same, other = built(name, options, 3), built(name, options, 4)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_a_divergence_with_a_contrast_of_its_own_is_learned_by_it():
    for name, own in (("KL_LIP", KL_LIP), ("W1", W1)):
        assert RECIPES["toy_particles"](divergence=name).method.flow.objective is own.contrast
        assert RECIPES["toy_particles"](divergence=name, contrast="dual").method.flow.objective is own.contrast
    assert RECIPES["toy_particles"](divergence="KL").method.flow.objective is logistic


@pytest.mark.parametrize("name", RECIPES)
def test_every_option_is_documented_has_a_default_and_numbers_have_a_range(name):
    documentation = inspect.getdoc(RECIPES[name]) or ""
    for option, parameter in inspect.signature(RECIPES[name]).parameters.items():
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.default is not parameter.empty
        assert f"\n    {option}: " in documentation
        if parameter.annotation in (int, float):
            between = options_of(RECIPES[name])[option].between
            assert between is not None, option
            assert between.low <= parameter.default <= between.high


def test_an_unknown_option_and_a_wrong_type_are_named():
    with pytest.raises(UsageError, match="--widht"):
        RECIPES["toy_vgrow"](widht=3)
    with pytest.raises(UsageError, match="--width '8': expected int"):
        RECIPES["toy_vgrow"](width="8")
    with pytest.raises(UsageError, match="--contrast 'dul': expected logistic or dual"):
        RECIPES["toy_vgrow"](contrast="dul")
    with pytest.raises(UsageError, match="--widht: toy_vgrow has no such option; did you mean --width"):
        RECIPES["toy_vgrow"](widht=3)
    with pytest.raises(UsageError, match="--dimension 5: expected 2 or 3"):
        RECIPES["sierpinski"](dimension=5)
    with pytest.raises(UsageError, match="--steps 0: give a number between 1 and"):
        RECIPES["four_modes"](steps=0)


def test_groups_are_called_flat_and_keep_the_defaults_that_a_recipe_gives_them():
    seen = []

    @recipe
    def mine(*, loop: Loop = Loop(7, 8), pace: Pace = Pace(0.5, warmup=3)):
        """Mine.

        Args:
            steps: My own words,
                on two lines.
        """
        seen.append((loop, pace))

    mine(batch=9, step_end=0.25)
    assert seen == [(Loop(7, 9), Pace(0.5, 0.25, 3))]
    known = options_of(mine)
    assert list(known) == ["steps", "batch", "seed", "step", "step_end", "warmup"]
    assert [option.default for option in known.values()] == [7, 8, 0, 0.5, 0.1, 3]
    assert "\n    steps: My own words,\n        on two lines.\n    batch: Rows" in (mine.__doc__ or "")
    assert list(inspect.signature(mine).parameters) == list(known)


def test_groups_that_share_a_name_and_words_about_no_option_are_refused():
    def twice(*, loop: Loop = Loop(1, 1), steps: int = 1): ...

    def strange(*, loop: Loop = Loop(1, 1)):
        """Strange.

        Args:
            nothing: Of the kind.
        """

    for function, said in ((twice, "steps"), (strange, "nothing")):
        with pytest.raises(TypeError, match=said):
            recipe(function)


def test_arguments_of_older_runs_go_by_the_names_of_today():
    assert arguments_of({"arguments": {"extra": 3, "steps": 2}}) == {"tracers": 3, "steps": 2}


@pytest.mark.parametrize(("stored", "waves"), [({}, 0), ({"waves": 3}, 3)])
def test_a_carpet_of_before_there_were_waves_is_rebuilt_without(stored, waves):
    run = {"recipe": "sierpinski", "arguments": {"steps": 2, **stored}}
    assert arguments_of(run) == {"steps": 2, "waves": waves}


def test_a_vgrow_of_before_it_began_at_a_normal_law_is_rebuilt_as_it_was():
    run = {"recipe": "toy_vgrow", "arguments": {"steps": 2, "moves": 1, "rate": 1e-3, "width": 8}}
    method = RECIPES["toy_vgrow"](**arguments_of(run)).method
    assert isinstance(method.flow, CriticFlow)
    assert next(name for name, _ in method.generator.net.named_parameters()) == "body.0.weight"
    assert method.generator.net.body[0].in_features == method.flow.critic.net.body[0].in_features == 2
    assert method.generator.optimiser.param_groups[0]["lr"] == method.flow.critic.optimiser.param_groups[0]["lr"]


@pytest.mark.parametrize(("columns", "moves", "last"), [(2, 3, True), (3, 3, True), (4, 3, False), (2, 1, False)])
def test_kernels_take_over_where_there_are_several_moves_and_few_columns(columns, moves, last, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(60, columns)))
    made = RECIPES["toy_vgrow"](data=str(tmp_path / "x.npy"), steps=10, moves=moves, width=8)
    flow = made.method.flow
    assert isinstance(flow, Handover) == last
    if isinstance(flow, Handover):
        assert flow.at == 3 * 6
    told = RECIPES["toy_vgrow"](data=str(tmp_path / "x.npy"), steps=10, moves=3, width=8, last=0.7).method.flow
    assert isinstance(told, Handover)
    assert told.at == 3 * 3


@pytest.mark.parametrize(("options", "random"), [({}, 32), ({"moves": 2}, 0), ({"moves": 2, "fourier": 5}, 5)])
def test_random_waves_are_seen_by_both_nets_of_one_move_and_where_they_are_asked_for(options, random):
    made = RECIPES["toy_vgrow"](steps=10, width=8, last=0, **options)
    generator, critic = made.method.generator.net.body.body[0], made.method.flow.critic.net.body[0]
    assert generator.frequencies.shape == (2, 2 * 3 + random)
    assert isinstance(critic, FourierFeatures) == bool(random)
    assert not random or critic.frequencies.shape == (2, random)
    if random >= 32:  # cycles to a unit of z, and of x
        assert generator.frequencies[:, 6:].std() / (2 * math.pi) == pytest.approx(1, rel=0.3)
        assert critic.frequencies.std() / (2 * math.pi) == pytest.approx(2, rel=0.3)
    assert made.method.flow.penalty_schedule(10 * made.method.moves) == pytest.approx(0.3 if random else 0.02)


@pytest.mark.parametrize(
    ("size", "moves", "classes", "count"), [(2, 1, 0, 32), (4, 1, 0, 0), (2, 2, 0, 0), (2, 1, 3, 0)]
)
def test_random_waves_suit_one_move_on_few_columns_without_classes(size, moves, classes, count):
    assert mlp.waves(size, moves, classes) == count


def test_the_generators_rate_is_halved_where_kernels_take_over_and_the_critic_rests():
    method = RECIPES["toy_vgrow"](steps=10, width=8, last=0.5, rate=1e-2, critic_pace=0.1).method
    learner, critic = method.generator, method.flow.first.critic
    wave = [(1 + math.cos(math.pi * k / 10)) / 2 for k in range(10)]
    assert [learner.schedule(k) for k in range(10)] == pytest.approx([*wave[:5], *(w / 2 for w in wave[5:])])
    assert [critic.schedule(k) for k in range(10)] == pytest.approx(wave)
    assert critic.optimiser.param_groups[0]["lr"] == pytest.approx(1e-3)


FALLS = {
    "toy_particles": {"particles": 20, "batch": 20},
    "gaussian_particles": {"particles": 20},
    "heavy_tails": {"particles": 20, "batch": 20},
    "few_particles": {"particles": 20, "batch": 20, "width": 8},
    "latent_particles": {"codec": "pca:2", "particles": 20, "batch": 20, "width": 8},
    "toy_latent": {"codec": "pca:2", "particles": 20, "batch": 20, "width": 8},
    "digit_to_digit": {"codec": "none", "particles": 20, "batch": 20, "width": 8},
}


@pytest.mark.parametrize("warmup", [0, 3])
@pytest.mark.parametrize("name", FALLS)
def test_the_rate_of_a_critic_ends_with_the_cosine_at_the_last_step_however_long_it_warms_up(name, warmup):
    experiment = RECIPES[name](steps=2, warmup=warmup, critic_steps=2, **FALLS[name])
    for _ in train(experiment):
        pass
    inner = experiment.method.method if isinstance(experiment.method, InCodeSpace) else experiment.method
    critic = inner.flow.critic
    assert critic.updates == 2 * (2 + warmup)
    assert critic.schedule(critic.updates) == pytest.approx(0.1)
    assert critic.schedule(critic.updates - 1) > 0.11  # and not before
    assert critic.schedule(critic.updates // 2) == pytest.approx(0.55)  # half the way down at half the updates


@pytest.mark.parametrize("moves", [1, 2, 5, 7, 20])
def test_what_vgrow_is_not_told_suits_its_moves(moves):
    method, steps = (made := RECIPES["toy_vgrow"](moves=moves, width=8)).method, made.steps
    assert steps * moves == pytest.approx(10_500 if moves == 1 else 8_500, abs=moves)
    if moves == 1:  # exactly a GAN
        assert (method.pool, method.fits, method.radius) == (1, 1, math.inf)
        return
    assert 1 <= method.fits * method.pool / moves < 1 + method.pool / moves  # an update of the generator a move
    assert method.radius(0) * moves == pytest.approx(0.46 * 2**0.5)  # a pool goes as far, however many
    assert method.radius(steps) == pytest.approx(method.radius(0) * 0.05)


def test_what_vgrow_is_told_stands():
    method = RECIPES["toy_vgrow"](moves=3, pool=2, fits=4, radius=0.2, radius_end=0.5, steps=10, width=8).method
    assert (method.pool, method.fits) == (2, 4)
    assert [method.radius(k) for k in (0, 10, 20)] == pytest.approx([0.2, 0.1, 0.1])


def test_the_rates_of_vgrow_end_with_the_cosine_at_its_last_update_however_many_a_step_has():
    options = {"steps": 2, "batch": 8, "width": 8, "moves": 2, "pool": 2, "fits": 3, "critic_steps": 2}
    options |= {"rate_end": 0.2, "last": 0}
    experiment = RECIPES["toy_vgrow"](**options)
    for _ in train(experiment):
        pass
    method = experiment.method
    for learner, updates in ((method.flow.critic, 2 * 2 * 2), (method.generator, 2 * 2 * 3)):
        assert learner.updates == updates
        assert learner.schedule(updates) == pytest.approx(0.2)
        assert learner.schedule(updates - 1) > 0.201
