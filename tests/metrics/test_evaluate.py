"""The default evaluation: the right numbers for the kind of data, readable, seeded, and strict about its input."""

import json
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from pushforward.densities.rows import RowDensities
from pushforward.densities.support import Carpet
from pushforward.errors import DataError, UsageError
from pushforward.metrics import RAW, digits8, evaluate, to_json
from pushforward.metrics.core.features import Features
from pushforward.metrics.networks import pca
from pushforward.metrics.suite import PARTS


def normal(n, dim, seed, shift=0.0):
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)) + shift


@pytest.fixture(scope="module")
def digits():
    images = load_digits(return_X_y=True)[0].astype(np.float32) / 8 - 1
    order = np.random.default_rng(0).permutation(len(images))
    return torch.from_numpy(images[order]).reshape(-1, 1, 8, 8).split([600, 600, 597])


def test_points_get_transport_and_mmd_and_modes_where_centres_are_known():
    fake, real, train = normal(200, 2, 0), normal(220, 2, 1), normal(900, 2, 2)
    tests_and_scores = [
        "mmd",
        "c2st",
        "c2st_forest",
        "columns",
        "pairs",
        "precision",
        "recall",
        "density",
        "coverage",
        "sliced_w2",
        "w2",
    ]
    assert list(evaluate(fake, real)) == tests_and_scores
    found = evaluate(fake, real, train=train, centres=torch.zeros(1, 2), sigma=1.0)
    assert {"modes_captured", "high_quality", "mode_kl", "mode_width", "authenticity", "copying"} < found.keys()
    assert found["w2"].protocol["floor"] == "train 200 vs real 200, mean of 3"


def test_good_points_pass_and_shifted_points_fail():
    real, train = normal(400, 3, 1), normal(2000, 3, 2)
    good, bad = (evaluate(normal(400, 3, 7, shift), real, train=train) for shift in (0.0, 0.5))
    assert good["mmd"].p > 0.01
    assert bad["mmd"].p == 1 / 201
    for name in ("sliced_w2", "w2"):
        assert good[name].value < 1.25 * good[name].floor
        assert bad[name].value > 1.25 * bad[name].floor


def test_images_get_numbers_named_after_the_feature_space(digits):
    fake, real, train = digits
    found = evaluate(fake, real, train=train)
    space = digits8().id
    assert list(found)[:2] == [f"FD@{space}", f"mmd@{space}"]
    assert f"c2st@{space}" in found
    assert not any("fid" in name.lower() for name in found)
    assert found[f"FD@{space}"].features == space
    assert found["sliced_w2"].features == "raw"
    assert found["classes_present"].value == 10
    assert found["class_kl"].value < 5 * found["class_kl"].floor
    assert found[f"FD@{space}"].value < 1.5 * found[f"FD@{space}"].floor


def test_damaged_images_score_in_the_order_of_the_damage(digits):
    fake, real, train = digits
    noise = torch.randn(fake.shape, generator=torch.Generator().manual_seed(0))
    name = f"FD@{digits8().id}"
    ladder = [fake, (fake + 0.2 * noise).clamp(-1, 1), fake.roll(1, 3), fake[:1].expand_as(fake), noise.clamp(-1, 1)]
    values = [evaluate(x, real, train=train, permutations=1)[name].value for x in ladder]
    assert values[0] < values[1] < values[2] < min(values[3:])


def test_raw_images_can_be_asked_for(digits):
    fake, real, _ = digits
    assert "mmd" in evaluate(fake, real, features=RAW, permutations=19)


def test_every_measure_carries_its_protocol_and_writes_strict_json(digits):
    fake, real, _ = digits
    points = (normal(100, 2, 0), normal(100, 2, 1))
    marked = {"seed": 3, "split": "valid"}
    measures = {**evaluate(fake, real, **marked), **evaluate(*points, centres=torch.zeros(1, 2), sigma=1.0, **marked)}
    for measure in measures.values():
        assert measure.protocol["split"] == "valid"
        assert measure.protocol["seed"] == 3
        assert measure.n_fake > 0
        assert measure.floor is not None
    parsed = json.loads(json.dumps(to_json(measures), allow_nan=False))["metrics"]
    assert parsed.keys() == measures.keys()


def test_a_seed_fixes_every_number_and_global_randomness_is_left_alone():
    fake, real = normal(300, 2, 0), normal(300, 2, 1)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = evaluate(fake, real, seed=5, max_n=100)
    assert torch.equal(before, torch.get_rng_state())
    assert first == evaluate(fake, real, seed=5, max_n=100)
    assert first["w2"].value != evaluate(fake, real, seed=6, max_n=100)["w2"].value


def test_own_metrics_take_the_place_of_the_default_ones():
    def gap(q, p):
        return float((q.mean(0) - p.mean(0)).norm())

    found = evaluate(normal(50, 2, 0, 3.0), normal(60, 2, 1), metrics={"gap": gap})
    assert list(found) == ["gap"]
    assert found.verdict.startswith("No test")
    assert found["gap"].value == pytest.approx(18**0.5, rel=0.1)
    assert (found["gap"].n_fake, found["gap"].n_real) == (50, 60)


@pytest.mark.parametrize(
    ("fake", "real", "train", "words"),
    [
        (torch.zeros(5, 2), torch.zeros(5, 3), None, r"fake has event shape \(2,\), real \(3,\)"),
        (torch.zeros(1, 2), torch.zeros(5, 2), None, r"fake has 1 sample\(s\)"),
        (torch.zeros(5, 2), torch.zeros(1, 2), None, r"real has 1 sample\(s\)"),
        (torch.full((5, 2), torch.nan), torch.zeros(5, 2), None, "fake has 5 of 5 samples with NaN"),
        (torch.zeros(5, 2), torch.full((5, 2), torch.inf), None, "real has 5 of 5"),
        (torch.zeros(5), torch.zeros(5), None, r"fake has shape \(5,\)"),
        (torch.randn(5, 2), torch.randn(5, 2), torch.zeros(5, 3), "train has event shape"),
    ],
)
def test_samples_that_do_not_fit_are_refused_by_name(fake, real, train, words):
    with pytest.raises(DataError, match=words):
        evaluate(fake, real, train=train)


@pytest.mark.parametrize("wrong", [{"max_n": 1}, {"seed": -1}])
def test_settings_that_no_statistic_can_use_are_refused(wrong):
    with pytest.raises(UsageError, match="use at least 4 rows and a seed of 0 or more"):
        evaluate(torch.zeros(20, 2), torch.ones(20, 2), **wrong)


def test_centres_without_sigma_are_refused():
    with pytest.raises(UsageError, match="sigma"):
        evaluate(normal(9, 2, 0), normal(9, 2, 1), centres=torch.zeros(1, 2))


def test_every_part_runs_gives_what_it_promises_and_ticks_up_to_one(digits):
    fake, real, train = (x[:300] for x in digits)
    colours = (fake.repeat(1, 3, 1, 1), real.repeat(1, 3, 1, 1), train.repeat(1, 3, 1, 1))
    points = [normal(300, 2, seed) for seed in range(3)]

    class Log:
        def __init__(self):
            self.begun, self.seconds, self.fractions = [], [], []

        def begin(self, name, seconds):
            self.begun.append(name)
            self.seconds.append(seconds)

        def tick(self, fraction):
            self.fractions.append(fraction)

    for name, part in PARTS.items():
        known = {"centres": torch.zeros(1, 2), "sigma": 1.0} if "centres" in part.needs else {}
        if "density" in part.needs:
            known["densities"] = RowDensities(held=normal(90, 1, 3)[:, 0], seen=normal(200, 1, 4)[:, 0], dim=2)
        known |= {"support": Carpet()} if "support" in part.needs else {}
        kind = "points" if part.needs & {"centres", "points"} else "colours" if "colours" in part.needs else "grey"
        q, p, t = {"points": points, "colours": colours, "grey": (fake, real, train)}[kind]
        log = Log()
        options = {"metrics": [part], "permutations": 19, "max_n": 100, "watch": log}
        if "colours" in part.needs:
            options["features"] = digits8()
        found = evaluate(q, p, train=t, **options, **known)
        short = {measure.split("@")[0].split("[")[0] for measure in found}
        assert short <= {*part.gives}, name
        assert short, name
        assert log.begun == ["equal rows", name]
        assert min(log.seconds) >= 0
        assert all(0 <= fraction <= 1 + 1e-9 for fraction in log.fractions), name


def test_a_part_that_lacks_something_is_refused_by_name(digits):
    with pytest.raises(UsageError, match="memorisation needs the training set"):
        evaluate(normal(50, 2, 0), normal(50, 2, 1), metrics=[PARTS["memorisation"]])
    with pytest.raises(UsageError, match="score needs a classifier"):
        evaluate(normal(50, 2, 0), normal(50, 2, 1), metrics=[PARTS["score"]])


def test_copies_of_the_training_set_are_warned_of_while_the_kernel_test_passes_them(digits):
    _, real, train = digits
    noise = torch.randn(train.shape, generator=torch.Generator().manual_seed(0))
    copied = evaluate((train + 1e-3 * noise).clamp(-1, 1), real, train=train)
    space = digits8().id
    assert copied[f"copying@{space}"].value < -10
    assert copied[f"mmd@{space}"].p > 0.05
    assert "copies" in copied.warnings[0]
    assert copied["copying@" + space].protocol["hypothesis"] == "does not copy"
    assert "copying" not in copied.verdict


def test_a_fresh_sample_is_not_called_a_copy():
    found = evaluate(normal(500, 4, 0), normal(500, 4, 1), train=normal(500, 4, 2))
    assert found.warnings == ()
    assert abs(found["copying"].value) < 4


def test_a_space_fitted_to_real_alone_tells_equal_laws_apart_and_one_fitted_to_all_does_not():
    """With as many features as rows, a space whitened by real alone makes real rows look alike: the level is lost."""
    false_alarms = {"real": 0, "all": 0}
    for seed in range(40):
        fake, real = normal(30, 20, 2 * seed), normal(30, 20, 2 * seed + 1)
        for name, reference in {"real": real, "all": torch.cat([fake, real])}.items():
            space = pca(reference, 20, whiten=True)
            found = evaluate(fake, real, features=space, metrics=[PARTS["mmd"]], permutations=99)
            false_alarms[name] += next(iter(found.values())).p <= 0.05
    assert false_alarms["real"] > 20
    assert false_alarms["all"] <= 7  # binomial(40, .05) exceeds it once in three hundred


def test_a_fresh_sample_is_not_called_a_copy_in_a_space_fitted_to_all_rows():
    fake, real, train = (torch.from_numpy(np.random.default_rng(i).normal(size=(200, 300))) for i in range(3))
    fitted = pca(torch.cat([fake, real, train]), 30)
    parts = [PARTS["memorisation"]]
    found = evaluate(fake, real, train=train, features=fitted, metrics=parts, permutations=39)
    measures = {name.split("@")[0]: measure for name, measure in found.items()}
    assert found.warnings == ()
    assert abs(measures["copying"].value) < 4
    assert measures["train_gap"].p > 1 / 40


def test_stacked_digits_of_unequal_shares_are_not_called_different_from_themselves():
    def classify(x):
        return torch.nn.functional.one_hot((x[:, 0, 0, 0] * 10).long(), 10).double()

    rng, law = np.random.default_rng(0), np.arange(1, 11) / 55
    fake, real = (torch.from_numpy(rng.choice(10, size=(4000, 3, 1, 1), p=law) / 10 + 0.05) for _ in range(2))
    net = Features("net", "ab" * 32, 3, lambda x: x.flatten(1), classify)
    found = evaluate(fake, real, features=net, metrics=[PARTS["stacked"]])
    assert found.verdict.startswith("No test was made")


def test_a_part_that_cannot_be_measured_is_left_out_with_its_reason():
    same = torch.ones(50, 2)
    found = evaluate(same, same.clone(), metrics=[PARTS["mmd"], PARTS["manifold"]])
    assert "precision" in found
    assert found.warnings[0].startswith("mmd left out: all 100 points coincide")
    with pytest.raises(DataError, match="mmd left out: all 100 points coincide"):
        evaluate(same, same.clone(), metrics=[PARTS["mmd"]])


def test_a_metric_of_ones_own_that_answers_with_no_number_is_refused_by_name():
    with pytest.raises(UsageError, match="metric gap: it gave 'much'"):
        evaluate(normal(50, 2, 0), normal(50, 2, 1), metrics={"gap": lambda q, p: "much"})


def test_features_too_large_to_keep_give_the_same_numbers(digits, monkeypatch):
    fake, real, train = (x[:200] for x in digits)
    parts = [PARTS[name] for name in ("fd", "mmd", "c2st", "manifold", "kid", "memorisation")]
    kept = evaluate(fake, real, train=train, metrics=parts)
    monkeypatch.setattr(sys.modules["pushforward.metrics.evaluate"], "KEPT", 1)
    assert evaluate(fake, real, train=train, metrics=parts) == kept
