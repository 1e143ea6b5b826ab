"""The demos write small pictures and return the numbers they show."""

import sys

import pytest
from PIL import Image

from pushforward.demos import covering, paradox
from pushforward.errors import UsageError

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    out = tmp_path_factory.mktemp("paradox") / "paradox.png"
    return out, paradox(out, draws=3)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    out = tmp_path_factory.mktemp("covering") / "new" / "covering.png"
    return out, covering(out)


def test_pictures_are_small_and_white_at_the_edge(strange, fitted):
    for out, _ in (strange, fitted):
        picture = Image.open(out).convert("RGB")
        assert out.stat().st_size < 150_000
        assert min(picture.size) > 600
        assert picture.getpixel((picture.width - 1, picture.height // 2)) == (255, 255, 255)
        assert len(picture.getcolors(2**24) or []) > 16
        assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_copies_fool_the_two_sample_test_and_noise_fools_the_likelihood(strange):
    numbers = strange[1]
    assert numbers["held_out_0.001"] < numbers["true"] - 30_000
    assert numbers["train_0.001"] > numbers["true"] + 200
    assert 0 < numbers["loss"] <= 4.6051702 + 1e-7
    assert numbers["two_sample_noise"] == 1 / 200
    assert numbers["copying_copies"] < -10
    assert numbers["two_sample_repeats"] == 1 / 200
    for name in ("data", "copies"):
        assert numbers[f"two_sample_{name}"] > 0.05
    assert abs(numbers["copying_data"]) < 4
    assert numbers["copying_noise"] > -4


def test_numbers_depend_on_the_seed_alone(strange, tmp_path):
    assert paradox(tmp_path / "again.svg", draws=3) == strange[1]
    assert paradox(tmp_path / "other.pdf", seed=1, n=60, draws=1)["true"] != strange[1]["true"]


def test_covering_returns_the_optima_it_draws(fitted):
    numbers = fitted[1]
    wanted = {
        "line_kl_pq_mean": -1.2, "line_kl_pq_sigma": 1.6763, "line_kl_pq": 0.7094, "line_kl_qp_mean": -2.0,
        "line_kl_qp": 0.2231, "line_jsd_mean": -2.0, "line_jsd": 0.0749, "plane_kl_pq": 0.6108, "plane_kl_qp": 0.3563,
        "plane_jsd": 0.1171,
    }  # fmt: skip
    assert {name: numbers[name] for name in wanted} == pytest.approx(wanted, abs=1e-3)
    assert 2.5 < numbers["one_mode_wins_beyond_kl_qp"] < 4.0 < numbers["one_mode_wins_beyond_jsd"] < 5.0


@pytest.mark.parametrize("demo", [covering, paradox])
def test_unknown_formats_are_refused_before_any_work(demo, tmp_path):
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf"):
        demo(tmp_path / "picture.gif")
    assert not list(tmp_path.iterdir())


def test_missing_matplotlib_is_named_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match="pip install matplotlib"):
        covering(tmp_path / "picture.png")
