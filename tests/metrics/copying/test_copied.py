"""Copies among good samples are warned of from few rows on, and no model is accused that does not know the rows."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binom, hypergeom
from sklearn.datasets import load_digits

from pushforward.metrics import digits8
from pushforward.metrics.copying.closeness import LIMITS, chance, grain, intrinsic, surprise, tail
from pushforward.metrics.copying.copied import LEVEL
from pushforward.metrics.copying.findings import found
from pushforward.metrics.copying.labels import SHARES, least_rows, nearer_to_train, not_one_law
from pushforward.metrics.copying.memorisation import memorisation
from pushforward.metrics.core.features import RAW
from pushforward.metrics.core.neighbours import nearest

LAWS = {
    "line": lambda n, rng: rng.normal(size=(n, 1)),
    "plane": lambda n, rng: rng.normal(size=(n, 2)),
    "four": lambda n, rng: rng.normal(size=(n, 4)),
    "sixteen": lambda n, rng: rng.normal(size=(n, 16)),
    "heavy": lambda n, rng: rng.standard_t(2, (n, 3)),
    "ring": lambda n, rng: ring(n, rng),
    "levels": lambda n, rng: levels(n, rng),
    "mixed": lambda n, rng: mixed(n, rng),
    "spikes": lambda n, rng: rng.integers(0, 50, (n, 2)) + 1e-3 * rng.normal(size=(n, 2)),
    "zeros": lambda n, rng: np.where(rng.random((n, 3)) < 0.7, 0.0, rng.lognormal(size=(n, 3))),
}
MODELS = {
    "fresh": lambda x, rng: x,
    "middle": lambda x, rng: np.median(x, 0) + 0.5 * (x - np.median(x, 0)),
    "wide": lambda x, rng: np.median(x, 0) + 5 * (x - np.median(x, 0)),
    "far": lambda x, rng: x + 20,
    "shuffled": lambda x, rng: np.stack([rng.permutation(column) for column in x.T], 1),
    "rounded": lambda x, rng: np.round(x),
}


def ring(n, rng):
    angle = np.pi / 4 * rng.integers(0, 8, n)
    return np.stack([np.cos(angle), np.sin(angle)], 1) + 0.02 * rng.normal(size=(n, 2))


def levels(n, rng, columns=6):
    """A table of few levels that depend on each other."""
    z = rng.normal(size=(n, 1)) + rng.normal(size=(n, columns))
    return np.floor((0.8 * z).clip(-2.4, 2.4))


def mixed(n, rng):
    """A skew column, one that depends on a category of four, and its levels."""
    kind = rng.integers(0, 4, n)
    return np.c_[rng.lognormal(size=n), rng.normal(size=n) + kind, np.eye(4)[kind] / 2**0.5]


def tensors(*arrays):
    return tuple(torch.from_numpy(np.ascontiguousarray(x, np.float64)) for x in arrays)


def names(measures):
    return {one.name for one in found(measures)}


def parts(law, seed, n=300, m=300, t=600):
    rng = np.random.default_rng(seed)
    return [LAWS[law](size, rng) for size in (n, m, t)], rng


@pytest.mark.parametrize("law", ["line", "plane", "four", "sixteen", "mixed"])
@pytest.mark.parametrize("rate", [0.02, 0.05, 0.1, 0.2, 0.3, 1.0])
def test_exact_copies_are_warned_of_from_two_in_a_hundred_on(law, rate):
    for seed in range(4):
        (q, p, t), rng = parts(law, seed)
        count = round(rate * len(q))
        q[:count] = t[rng.permutation(len(t))[:count]]
        measures = memorisation(*tensors(q, p, t), permutations=100, seed=seed)
        assert names(measures) == {"copies"}
        assert measures["copied"].value == pytest.approx(rate)
        assert measures["copied"].floor == 0
        assert measures["copied"].p < 1e-20  # four samples in ten million would be expected so near, and six are


@pytest.mark.slow
def test_a_tenth_of_copies_is_warned_of_in_every_one_of_twenty_samples():
    for seed in range(20):
        (q, p, t), rng = parts("four", 100 + seed)
        q[:30] = t[rng.permutation(600)[:30]]
        assert "copies" in names(memorisation(*tensors(q, p, t), seed=seed))


def test_near_copies_are_warned_of_where_chance_does_not_come_so_near():
    """At a twentieth of the usual distance, (1/20)^8 of sixteen dimensions' samples lie by half the dimension."""
    for seed in range(4):
        (q, p, t), rng = parts("sixteen", seed)
        usual = np.median(nearest(p, t)[0])
        noise = rng.normal(size=(15, 16))
        q[:15] = t[:15] + 0.05 * usual * noise / np.linalg.norm(noise, axis=1, keepdims=True)
        assert names(memorisation(*tensors(q, p, t), permutations=100)) == {"copies"}


@pytest.mark.slow
@pytest.mark.parametrize("space", [RAW, digits8()], ids=["pixels", "features"])
def test_a_tenth_of_copied_digits_is_warned_of_and_so_are_blurred_ones(space):
    pixels = (load_digits().data / 8 - 1).reshape(-1, 1, 8, 8)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x = pixels[rng.permutation(len(pixels))]
        q, p, t = x[:300].copy(), x[300:600], x[600:1200]
        assert names(memorisation(*(y.float() for y in tensors(q, p, t)), space, permutations=100)) == set()
        q[:30] = t[:30]
        assert names(memorisation(*(y.float() for y in tensors(q, p, t)), space, permutations=100)) == {"copies"}
        q = (t[:300] + 0.05 * rng.normal(size=q.shape)).clip(-1, 1)
        assert names(memorisation(*(y.float() for y in tensors(q, p, t)), space, permutations=100)) == {"copies"}


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [100, 500])
def test_copies_are_seen_where_few_rows_are_held_out(held_out):
    rng = np.random.default_rng(0)
    t, p = rng.normal(size=(20_000, 16)), rng.normal(size=(held_out, 16))
    q = t[rng.permutation(len(t))[:500]]
    assert names(memorisation(*tensors(q, p, t), permutations=100)) == {"copies"}
    assert names(memorisation(*tensors(rng.normal(size=(500, 16)), p, t), permutations=100)) == set()


def test_without_power_the_share_of_copies_that_would_be_seen_is_said():
    """Of a table of few levels only labels tell, and (T / (T + m))^R is the chance of R rows of train and none else."""
    rng = np.random.default_rng(1)
    measures = memorisation(*tensors(levels(400, rng), levels(10, rng), levels(3000, rng)), permutations=20)
    finding = next(one for one in found(measures) if one.name == "power")
    assert not finding.against
    rows = finding.numbers["seen_from"]
    wanted = next((k for k in range(1, 401) if len(SHARES) * hypergeom.cdf(0, 3010, 10, k) <= LEVEL), None)
    assert rows == (None if wanted is None else pytest.approx(wanted / 400))
    assert "No power at these sizes" in finding.words
    even = memorisation(*tensors(levels(400, rng), levels(400, rng), levels(400, rng)), permutations=20)
    assert names(even) == set()
    least = least_rows(400, 400, LEVEL)
    assert least is not None
    assert (
        len(SHARES) * hypergeom.cdf(0, 800, 400, least) <= LEVEL < len(SHARES) * hypergeom.cdf(0, 800, 400, least - 1)
    )
    assert float(even["copied"].detail["seen_from"]) == pytest.approx(least / 400)


def test_a_split_that_is_not_of_one_law_is_said_and_nobody_accused_but_copies():
    for seed in range(10):
        (q, p, t), _ = parts("four", seed)
        moved = p + p.std(0)
        assert names(memorisation(*tensors(q, moved, t), permutations=100)) == {"split"}
        q[:6] = t[:6]
        assert names(memorisation(*tensors(q, moved, t), permutations=100)) == {"split", "copies"}


def test_the_test_of_the_split_keeps_its_level():
    values = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        values.append(not_one_law(rng.normal(size=(80, 3)), rng.normal(size=(50, 3)), rng))
    values = np.array(values)
    for level in (0.05, 0.2):
        assert (values <= level).mean() < level + 3 * (level * (1 - level) / 300) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_no_model_is_accused_that_does_not_know_the_rows(law):
    for seed in range(6):
        n, m, t = [(300, 300, 600), (400, 100, 1500), (200, 400, 150)][seed % 3]
        (x, p, train), rng = parts(law, 50 + seed, n, m, t)
        for name, model in MODELS.items():
            measures = memorisation(*tensors(model(x, rng), p, train), permutations=100, seed=seed)
            assert "copies" not in names(measures), (law, name, seed)
            moved = memorisation(*tensors(model(x, rng), p + p.std(0), train), permutations=100, seed=seed)
            assert "copies" not in names(moved), (law, name, seed)


@pytest.mark.parametrize("law", ["line", "four", "sixteen", "heavy", "ring"])
def test_ratios_of_distances_stay_below_their_bound_whatever_the_model_shows(law):
    rng = np.random.default_rng(3)
    train, held = LAWS[law](3000, rng), LAWS[law](1000, rng)
    of_data = nearest(held, train, 10)[0]
    dimension = intrinsic(of_data, train.shape[1])
    real = surprise(of_data, dimension)
    for model in (MODELS[name] for name in ("fresh", "middle", "far")):
        distances, places = nearest(model(held, rng), train, 10)
        u = surprise(distances, dimension)
        for limit in LIMITS:
            rows = len(np.unique(places[u <= limit, 0]))
            assert rows <= binom.isf(1e-4, len(u), chance(limit))
        assert tail(u, places[:, 0], (real,)).p > 1e-3
    assert surprise(nearest(train[:50], train, 10)[0], dimension).max() == 0


def test_rows_that_training_data_repeat_are_no_surprise():
    train = np.repeat(np.random.default_rng(0).normal(size=(40, 3)), 2, 0)
    assert surprise(nearest(train[:10], train, 10)[0], 3.0).min() == 1


def test_data_on_a_grid_are_written_as_coarsely_as_half_its_step():
    rng = np.random.default_rng(0)
    ages, fine = rng.integers(18, 90, (2000, 1)).astype(float), rng.normal(size=(2000, 1))
    coarse = grain(*tensors(ages), RAW, rng)
    assert coarse.fine == ()
    assert 0.1 < coarse.whole < 0.4  # the median of |U(-1/2, 1/2)| is 1/4
    assert grain(*tensors(np.round(fine, 1)), RAW, rng).whole == pytest.approx(0.1 * coarse.whole, rel=0.8)
    assert grain(*tensors(np.c_[ages, fine]), RAW, rng).fine == (1,)
    zeros = np.where(rng.random((2000, 1)) < 0.8, 0.0, np.abs(fine))
    assert grain(*tensors(zeros), RAW, rng).fine == (0,)


def test_labels_of_rows_near_samples_are_hypergeometric():
    """Thirty rows of train and none of 300 held-out ones near the tenth of the samples that is nearest to any."""
    train, held = np.arange(600), np.arange(300)
    near, far = np.r_[np.zeros(30), np.full(270, 2.0)], np.r_[np.full(30, 1.0), np.full(270, 1.5)]
    p = nearer_to_train(
        (near, train[:300]), (far, held), (train.astype(np.uint64), (held + 600).astype(np.uint64)),
        np.random.default_rng(0),
    )  # fmt: skip
    assert p == pytest.approx(len(SHARES) * hypergeom.cdf(0, 900, 300, 30))


@pytest.mark.slow
@pytest.mark.parametrize("law", ["plane", "levels"])
def test_labels_keep_their_level_with_and_without_ties(law):
    values = []
    for seed in range(150):
        (q, p, t), _ = parts(law, 1000 + seed, 60, 40, 80)
        values.append(float(memorisation(*tensors(q, p, t), permutations=0)["copied"].detail["labels"]))
    values = np.array(values)
    for level in (0.05, 0.2):
        assert (values <= level).mean() < level + 3 * (level * (1 - level) / 150) ** 0.5


def test_held_out_rows_that_leaked_excuse_no_copies():
    (q, p, t), _ = parts("four", 5)
    p[:150], q[:6] = t[300:450], t[:6]
    assert "copies" in names(memorisation(*tensors(q, p, t), permutations=50))


SPIKY = {
    "spike": lambda n, d, rng: rng.normal(size=(n, d)) * rng.random((n, 1)) ** 40,
    "spikes": lambda n, d, rng: rng.normal(size=(n, d)) * rng.random((n, d)) ** 40,
    "zeros": lambda n, d, rng: np.where(rng.random((n, d)) < 0.7, 0.0, rng.lognormal(size=(n, d))),
    "lognormal": lambda n, d, rng: rng.lognormal(sigma=3, size=(n, d)),
    "zipf": lambda n, d, rng: rng.zipf(1.5, (n, d)).clip(max=10**9).astype(float),
    "carpet": lambda n, d, rng: sum(2 * rng.integers(0, 2, (n, d)) * 3.0**-k for k in range(1, 30)),
}


@pytest.mark.slow
@pytest.mark.parametrize("dim", [2, 4, 16])
@pytest.mark.parametrize("law", SPIKY)
def test_no_model_is_accused_where_the_density_changes_between_neighbours(law, dim):
    """Of u itself the bound does not hold in a spike: rows of the data say how near rows lie there."""
    for seed in range(60):
        rng = np.random.default_rng([seed, dim])
        q, p, t = (SPIKY[law](n, dim, rng) for n in (300, 300, 600))
        assert "copies" not in names(memorisation(*tensors(q, p, t), permutations=20, seed=seed)), seed


def test_no_dimension_is_above_the_number_of_columns():
    """Rows in a spike of the plane are nearly as far as each other from one at its rim, as in seven dimensions."""
    rng = np.random.default_rng(0)
    held, train = (SPIKY["spike"](n, 2, rng) for n in (300, 600))
    distances = nearest(held, train, 10)[0]
    assert intrinsic(distances, 100) > 4
    assert intrinsic(distances, 2) == 2


def test_data_on_a_grid_keep_the_bound_by_both_looks():
    rng = np.random.default_rng(5)
    for digits in ((0, 2), (1, 1), (2, 2), (0, 3)):
        train, held = (np.stack([np.round(10 * rng.normal(size=n), k) for k in digits], 1) for n in (2000, 4000))
        distances = nearest(held, train, 10)[0]
        u = surprise(distances, intrinsic(distances, 2), grain(*tensors(train), RAW, rng))
        for limit in LIMITS:
            assert (u <= limit).mean() <= chance(limit) / 2


@pytest.mark.slow
def test_a_tenth_of_digits_copied_through_jpeg_is_warned_of_though_no_row_is_equal():
    grey = (load_digits().images * 15.9375).round().astype(np.uint8)

    def stored(image):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=75)
        return np.asarray(Image.open(file))

    for seed in range(3):
        x = grey[np.random.default_rng(seed).permutation(len(grey))]
        for copies in (0, 30):
            q = np.stack([stored(image) for image in (*x[600 : 600 + copies], *x[: 300 - copies])])
            sets = [y.reshape(-1, 1, 8, 8).astype(float) / 127.5 - 1 for y in (q, x[300:600], x[600:1200])]
            measures = memorisation(*(y.float() for y in tensors(*sets)), permutations=50)
            assert names(measures) == ({"copies"} if copies else set())
            assert measures["copied"].value == 0


@pytest.mark.parametrize("seed", range(4))
def test_a_model_that_draws_rare_clusters_as_often_as_common_ones_is_no_copier(seed):
    """Its samples meet training rows where rows lie close, and meet each other there more often still."""
    rng = np.random.default_rng(seed)
    centres, common, width = rng.normal(size=(1000, 4)), rng.normal(size=(3, 4)), 1e-3

    def tight(n):
        return centres[rng.integers(len(centres), size=n)] + width * rng.normal(size=(n, 4))

    def data(n):
        broad = common[rng.integers(3, size=n)] + 0.3 * rng.normal(size=(n, 4))
        return np.where(rng.random((n, 1)) < 0.05, tight(n), broad)

    fake, real, train = (torch.from_numpy(x) for x in (tight(300), data(300), data(600)))
    assert "copies" not in {one.name for one in found(memorisation(fake, real, train, permutations=19))}
    fake[:30] = train[:30]
    assert "copies" in {one.name for one in found(memorisation(fake, real, train, permutations=19))}
