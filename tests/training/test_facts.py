"""What run.json says of a run is what its parts are, whatever they are called."""

import json
import sys
from pathlib import Path

import pytest
import torch
from report.runs import Page
from torch.optim import Adam

from pushforward.codecs import PCA
from pushforward.commands.training import train
from pushforward.divergences import KL, LOGD, W1, dual, logistic
from pushforward.dynamics.mobility import box
from pushforward.flows.critic import CriticFlow
from pushforward.flows.mmd import MMDFlow
from pushforward.flows.preconditioned import Preconditioned, pullback
from pushforward.methods.adversarial.vgrow import gan
from pushforward.methods.latent.in_code_space import InCodeSpace
from pushforward.methods.particles.driver import Particles
from pushforward.methods.sources import normal
from pushforward.nets import lipschitz, mlp
from pushforward.nets.dudley import Dudley
from pushforward.nets.ensemble import Ensemble
from pushforward.randomness import Noise
from pushforward.recipes import RECIPES
from pushforward.settings.running import Running
from pushforward.terms import TERMS
from pushforward.training.experiment import Experiment
from pushforward.training.facts import facts
from pushforward.training.learner import Learner
from pushforward.types import Flow, Method

OUTSIDE = """
from dataclasses import replace
from pushforward.divergences import KL, W1
CLIPPED_KL = replace(KL, name="CLIPPED_KL")
PLAIN = replace(W1, name="PLAIN")
"""


def of(method: Method) -> dict:
    data = RECIPES["toy_particles"]().data
    return facts(Experiment(method, iter(()), data, 1))  # pyright: ignore[reportArgumentType]


def particles(flow: Flow) -> Particles:
    return Particles(flow, torch.zeros(4, 2), 0.1, Noise(0))


def steep(slope: float, mode: lipschitz.Mode = "spectral") -> Learner:
    return Learner(lipschitz.critic(2, width=8, depth=2, slope=slope, mode=mode), Adam)


@pytest.mark.parametrize(
    ("options", "logistic", "dual", "fastest"),
    [({"divergence": "KL_LIP", "slope": 2.0}, False, True, 2.0),
     ({"divergence": "alpha_lip(2)", "slope": 3.0}, False, True, 3.0),
     ({"divergence": "W1", "slope": 1.0}, False, True, 1.0),
     ({"divergence": "KL", "slope": 5.0}, True, False, 5.0),
     ({"divergence": "KL", "contrast": "dual", "slope": 1.5}, False, False, 1.5),
     ({"divergence": "JS", "slope": 5.0}, True, False, None),
     ({"divergence": "KL_LIP", "critic": "penalty", "slope": 4.0}, False, True, 4.0)],
    ids=str,
)  # fmt: skip
def test_a_recipe_s_critic_is_known_by_its_loss_and_its_slope(options, logistic, dual, fastest):
    found = facts(RECIPES["toy_particles"](**options))
    assert (found["logistic"], found["dual"], found["fastest"]) == (logistic, dual, fastest)
    assert (found["shape"], found["conditional"]) == ("particles", False)


def test_a_speed_is_claimed_only_where_no_sample_can_pass_it():
    for critic in (steep(3.0), Learner(Ensemble([steep(3.0).net, steep(3.0).net]), Adam),
                   Learner(Dudley(steep(3.0).net), Adam)):  # fmt: skip
        assert CriticFlow(critic, W1).fastest == 3.0
        assert CriticFlow(critic, LOGD).fastest is None
        assert CriticFlow(critic, LOGD, limit=0.5).fastest == 0.5
    assert CriticFlow(steep(3.0, "none"), W1).fastest is None
    assert CriticFlow(Learner(mlp.critic(2, width=8), Adam), KL).fastest is None


def test_a_weight_of_one_is_what_makes_the_slope_a_speed():
    x = 3 * torch.randn(200, 2)
    flow = CriticFlow(steep(2.0), KL)
    flow.velocity(x, x + 1)
    assert flow.fastest == 2.0
    assert float(flow.velocities(x).norm(dim=-1).max()) <= 2.0 * (1 + 1e-4)


def test_what_wraps_a_flow_says_of_its_critic_what_it_is_and_claims_no_speed():
    flow = CriticFlow(steep(2.0), W1)
    codec = PCA.fit(torch.randn(50, 2), 2)
    for wrapped in (Preconditioned(flow, box(-1, 1)), pullback(flow, codec.decode)):
        found = of(particles(wrapped))
        assert (found["logistic"], found["dual"], found["fastest"]) == (False, True, None)
    assert of(InCodeSpace(codec, particles(flow)))["fastest"] == 2.0


def test_a_method_without_a_critic_is_neither_and_one_of_a_generator_is_called_so():
    found = of(particles(MMDFlow()))
    assert (found["logistic"], found["dual"], found["fastest"]) == (False, False, None)
    flow = CriticFlow(Learner(mlp.critic(2, width=8), Adam), KL, contrast=dual(KL))
    found = of(gan(Learner(mlp.generator(2, 2), Adam), flow, normal(2), Noise(0)))
    assert (found["logistic"], found["dual"], found["shape"]) == (False, False, "generator")
    assert [facts(RECIPES["vgrow_digits"](conditional=own))["conditional"] for own in (True, False)] == [True, False]
    assert flow.objective is not logistic


@pytest.mark.parametrize(("name", "logistic"), [("CLIPPED_KL", True), ("PLAIN", False)])
def test_a_divergence_from_outside_is_read_by_what_it_is_and_not_by_its_name(tmp_path, monkeypatch, name, logistic):
    (tmp_path / "outside_law.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "outside_law", raising=False)
    small = {"divergence": f"outside_law:{name}", "steps": 3, "particles": 20, "batch": 20, "width": 8, "limit": 200}
    done = train("toy_particles", small, tmp_path / "run", Running(device="cpu"))
    stored = json.loads((tmp_path / "run" / "run.json").read_text())
    assert stored["format"] == 3
    assert (stored["facts"]["logistic"], stored["facts"]["dual"]) == (logistic, not logistic)
    page = Page(Path(done.page or ""))
    assert ("is not the logistic one" in page.text) != logistic
    assert (TERMS["critic"].reading in page.text) == logistic
