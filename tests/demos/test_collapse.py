"""The demo of collapse: one entropy, one bound, and codes that tell something only where columns depend on another."""

import math
import sys

import pytest
import torch
from PIL import Image

from pushforward.demos import collapse
from pushforward.demos.collapse import BEST, rows_of, trained
from pushforward.errors import UsageError
from pushforward.faces.learning import demo

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    out = tmp_path_factory.mktemp("collapse") / "collapse.png"
    return out, collapse(out, steps=600)


def test_the_best_bound_is_minus_the_entropy_of_both_laws():
    assert pytest.approx(-3.9365, abs=5e-5) == BEST
    for angle, covariance in ((0.0, [[9.0, 0.0], [0.0, 1.0]]), (45.0, [[5.0, 4.0], [4.0, 5.0]])):
        law = torch.distributions.MultivariateNormal(torch.tensor([2.0, 3.0]), torch.tensor(covariance))
        assert -float(law.entropy()) == pytest.approx(BEST, abs=1e-5)
        x = rows_of(angle, 0)
        torch.testing.assert_close(x.mean(0), law.mean, atol=0.1, rtol=0)
        torch.testing.assert_close(torch.cov(x.T), law.covariance_matrix, atol=0.3, rtol=0)


def test_codes_along_the_axes_tell_nothing_and_those_of_the_turned_law_where_on_the_diagonal(found):
    numbers = found[1]
    assert numbers["aligned_kl_1"] + numbers["aligned_kl_2"] < 0.05
    # with equal widths it is that of principal components: p(x|z) = N(2 sqrt(2) z, 1) along the diagonal
    assert numbers["turned_kl_1"] == pytest.approx(math.log(9) / 2, abs=0.15)
    assert numbers["turned_kl_2"] < 0.05


def test_both_reach_what_the_laws_say_of_the_rows_and_do_not_pass_it(found):
    numbers = found[1]
    assert numbers["best"] == BEST
    assert numbers["best_of_rows"] == pytest.approx(BEST, abs=4 / math.sqrt(4500))  # the standard deviation is 1
    for name in ("aligned", "turned"):
        assert -0.03 < numbers[f"{name}_bound"] - numbers["best_of_rows"] < 0.005


def test_what_the_laws_say_of_the_rows_is_their_mean_log_density(found):
    law = torch.distributions.MultivariateNormal(torch.tensor([2.0, 3.0]), torch.tensor([[5.0, 4.0], [4.0, 5.0]]))
    own = law.log_prob(trained(45.0, 0, 1).test).mean()
    assert found[1]["best_of_rows"] == pytest.approx(float(own), abs=1e-4)


def test_the_picture_is_small_and_white_at_the_edge(found):
    picture = Image.open(found[0]).convert("RGB")
    assert found[0].stat().st_size < 150_000
    assert min(picture.size) > 600
    assert picture.getpixel((picture.width - 1, picture.height // 2)) == (255, 255, 255)


def test_training_depends_on_the_seed_alone():
    torch.manual_seed(1)
    one = trained(45.0, 3, 4)
    torch.manual_seed(2)
    assert trained(45.0, 3, 4).bounds == one.bounds
    assert trained(45.0, 4, 4).bounds != one.bounds


def test_unknown_formats_and_a_missing_package_are_refused_before_any_work(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf"):
        collapse(tmp_path / "picture.gif")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match="pip install matplotlib"):
        collapse(tmp_path / "picture.png")
    assert not list(tmp_path.iterdir())


def test_it_is_a_demo_of_the_command_line(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("pushforward.demos.collapse", lambda out, seed: asked.append((out, seed)) or {"best": BEST})
    assert demo("collapse", out=tmp_path / "x.png", seed=5) == 0
    assert asked == [(tmp_path / "x.png", 5)]
    assert "-3.936" in capsys.readouterr().out
