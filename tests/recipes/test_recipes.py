"""Recipes: checked options, equal seeds give equal weights, and every one of them learns a step."""

import inspect

import pytest
import torch

from pushforward.divergences import KL_LIP, W1, logistic
from pushforward.errors import UsageError
from pushforward.recipes import RECIPES
from pushforward.recipes.checks import RANGES, hints
from pushforward.training.state import weights

VARIANTS = [(name, {}) for name in RECIPES] + [
    ("gan_images", {"spectral": True}),
    ("vgrow_images", {"preset": "paper", "net": "resnet"}),
    ("vgrow_images", {"conditional": True, "net": "resnet", "norm": "pixel"}),
    ("vgrow_digits", {"conditional": True}),
    ("toy_latent", {"codec": "pca:2", "compare": "data"}),
    ("latent_particles", {"codec": "autoencoder:4", "net": "convolutional", "codec_rows": 64, "limit": 50}),
    ("latent_particles", {"conditional": True, "distil_steps": 5}),
    ("digit_to_digit", {"codec": "none"}),
    ("digit_to_digit", {"codec": "autoencoder:4", "source": "5", "target": "8"}),
    ("toy_particles", {"critic": "penalty", "scheme": "ab3", "data": "toy:four_modes", "conditional": True}),
    ("toy_particles", {"divergence": "alpha_lip(2)", "refit": True, "scheme": "heun"}),
    *[("flow_particles", {"flow": flow}) for flow in ("sliced", "mmd", "energy", "kale", "kernel_gpa", "svgd", "ksd")],
    *[("flow_particles", {"flow": flow}) for flow in ("langevin", "metropolis")],
    ("toy_vgrow", {"contrast": "dual", "divergence": "HELLINGER", "pool": 2, "moves": 2, "fits": 2}),
]


def built(name: str, options: dict, seed: int) -> dict[str, torch.Tensor]:
    least = {"width": 8, "steps": 3, "batch": 8, "particles": 20, "tracers": 4}
    small = {option: value for option, value in least.items() if option in hints(RECIPES[name])}
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
        if hints(RECIPES[name])[option] in (int, float):
            assert option in RANGES, option
            low, high = RANGES[option]
            assert low <= parameter.default <= high


def test_an_unknown_option_and_a_wrong_type_are_named():
    with pytest.raises(UsageError, match="--widht"):
        RECIPES["toy_vgrow"](widht=3)
    with pytest.raises(UsageError, match="--width '8': expected int"):
        RECIPES["toy_vgrow"](width="8")
    with pytest.raises(UsageError, match="--contrast 'dul': expected logistic or dual"):
        RECIPES["toy_vgrow"](contrast="dul")
