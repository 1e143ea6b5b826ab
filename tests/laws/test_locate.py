"""Divergences are found by name, and a user's own works wherever a shipped one does."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.optim import SGD

from pushforward.divergences import (
    HELLINGER,
    JEFFREYS,
    JS,
    KL,
    LIN,
    LOGD,
    NEYMAN,
    PEARSON,
    REVERSE_KL,
    TV,
    Divergence,
    alpha,
    locate,
)
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.methods.adversarial.gan import GAN
from pushforward.methods.sources import normal
from pushforward.nets import mlp
from pushforward.randomness import Noise
from pushforward.training.learner import Learner

NAMES = {
    "KL": KL, "kl": KL, "reverse_kl": REVERSE_KL, "Reverse KL": REVERSE_KL, "reverse-kl": REVERSE_KL, "js": JS,
    "LOGD": LOGD, "jeffreys": JEFFREYS, "pearson": PEARSON, "neyman": NEYMAN, "hellinger": HELLINGER, "tv": TV,
    "lin": LIN, "saturating": JS, "log-d": LOGD, "linear": KL, "alpha(1.5)": alpha(1.5), "ALPHA(-1)": alpha(-1),
    "alpha(1)": KL, "alpha(0)": REVERSE_KL, "pushforward.divergences:JS": JS,
}  # fmt: skip

MINE = """
from pushforward.divergences import Divergence

THIRD = Divergence("third", variation=lambda d: -3 * (d / 3).exp(), log_weight=lambda d: d / 3)
NUMBER = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The name of an importable module of a user's, with a divergence THIRD of weight e^(d/3)."""
    (tmp_path / "a_users_divergences.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "a_users_divergences"
    sys.modules.pop("a_users_divergences", None)


@pytest.mark.parametrize(("name", "wanted"), NAMES.items(), ids=list(NAMES))
def test_name_finds_its_divergence(name, wanted):
    assert locate(name) is wanted


def test_divergence_is_returned_as_it_is():
    assert locate(KL, outside=False) is KL


@pytest.mark.parametrize("name", ["", "WASSERSTEIN", "alpha", "LOG2", "Divergence", "dual", "annotations"])
def test_unknown_name_lists_what_there_is(name):
    with pytest.raises(UsageError, match=r"use one of KL, REVERSE_KL, .*alpha\(A\), or package.module:NAME"):
        locate(name)


@pytest.mark.parametrize("name", ["alpha(x)", "alpha(nan)", "alpha(inf)", "alpha(1,2)"])
def test_alpha_needs_a_finite_number(name):
    with pytest.raises(UsageError, match=r"alpha\(1.5\)"):
        locate(name)


def test_name_outside_is_imported_for_the_user_but_not_for_a_file(module):
    found = locate(f"{module}:THIRD")
    assert isinstance(found, Divergence)
    assert found.name == "third"
    with pytest.raises(UsageError, match="must not make us import code"):
        locate(f"{module}:THIRD", outside=False)


def test_file_cannot_make_us_import_a_module(module):
    with pytest.raises(UsageError):
        locate(f"{module}:THIRD", outside=False)
    assert module not in sys.modules


@pytest.mark.parametrize("tail", ["nowhere_at_all:KL", ":KL", "math:"])
def test_name_outside_that_cannot_be_imported_says_what_is_expected(tail):
    with pytest.raises(UsageError, match=r"expected package\.module:NAME"):
        locate(tail)


def test_name_outside_that_is_missing_or_something_else_is_refused(module):
    with pytest.raises(UsageError, match="NOTHING"):
        locate(f"{module}:NOTHING")
    with pytest.raises(UsageError, match="is a int, not a"):
        locate(f"{module}:NUMBER")


def test_a_users_divergence_of_three_fields_drives_a_flow_and_a_gan(module):
    third, optimiser = locate(f"{module}:THIRD"), partial(SGD, lr=0.1)
    critic = Learner(mlp.critic(2, width=8, depth=1), optimiser)
    flow = CriticFlow(critic, third)
    q, p = torch.randn(16, 2), torch.randn(16, 2) + 1
    velocity = flow.velocity(q, p)
    scores = flow.scores(x := q.clone().requires_grad_(True))
    (slope,) = torch.autograd.grad(scores.sum(), x)
    torch.testing.assert_close(velocity(q), (scores / 3).exp().detach()[:, None] * slope)

    generator = Learner(mlp.generator(2, 2, width=8, depth=1), optimiser)
    gan = GAN(generator, flow, normal(2), Noise(0))
    before = [parameter.clone() for parameter in generator.net.parameters()]
    logs = next(gan.learn([p]))
    assert logs["generator"].item() < 0  # psi = -3 e^(d/3)
    assert any(not torch.equal(a, b) for a, b in zip(before, generator.net.parameters()))
