"""Student's t as a toy: its law, its spelling, and a unit that no large value can move; scales by quartiles."""

import numpy as np
import pytest
import torch
from scipy import stats

from pushforward.data.source import load
from pushforward.data.toys import plane as toy
from pushforward.data.units import robust
from pushforward.densities.student import Student, named
from pushforward.errors import DataError, UsageError

N = 20_000
CRITICAL = 1.95 / N**0.5  # of Kolmogorov and Smirnov's statistic, at 0.1 %


@pytest.mark.parametrize("nu", [0.5, 1.0, 3.0])
def test_coordinates_follow_scipys_student_t(nu):
    for joint in (False, True):
        x = Student(nu, joint)(N, np.random.default_rng(0)).double().numpy()
        for k in range(2):
            assert stats.kstest(x[:, k], stats.t(nu).cdf).statistic < CRITICAL


@pytest.mark.parametrize("nu", [0.5, 3.0])
def test_half_the_squared_radius_of_the_joint_law_is_fishers_f_with_2_and_nu_degrees(nu):
    x = Student(nu, joint=True)(N, np.random.default_rng(1)).double()
    assert stats.kstest(x.square().sum(1).numpy() / 2, stats.f(2, nu).cdf).statistic < CRITICAL
    apart = Student(nu)(N, np.random.default_rng(1)).double()
    assert stats.kstest(apart.square().sum(1).numpy() / 2, stats.f(2, nu).cdf).statistic > CRITICAL


def test_large_values_come_together_in_the_joint_law_only():
    def both(joint: bool) -> float:
        x = Student(1.0, joint)(N, np.random.default_rng(2)).abs()
        far = stats.t(1).ppf(1 - 0.01 / 2)  # a hundredth of a coordinate lies beyond
        return float((x > far).all(1).double().mean())

    assert both(False) == pytest.approx(1e-4, abs=3e-4)
    assert both(True) > 2e-3


@pytest.mark.parametrize("name", ["student(0.5)", "Student(0.50)", "multivariate_t(3)", "Multivariate-T(3)"])
def test_a_name_says_the_law(name):
    law = named(name)
    assert law == (Student(0.5) if "tudent" in name else Student(3.0, joint=True))
    assert toy.load(name, n_train=20, n_test=5).name == (
        "toy:student(0.5)" if not law.joint else "toy:multivariate_t(3)"
    )


@pytest.mark.parametrize("name", ["student", "student()", "student(x)", "student(0.1)", "multivariate_t(inf)"])
def test_a_name_without_degrees_in_range_is_refused(name):
    with pytest.raises(UsageError, match="degrees of freedom"):
        toy.load(name)


def test_the_unit_of_a_toy_without_a_variance_is_that_of_its_data():
    data = load("toy:student(0.5)", limit=400, test_fraction=0.5)
    assert (len(data.train), len(data.test)) == (200, 200)
    np.testing.assert_allclose(data.decode(data.train), data.train.double().numpy())
    assert data.train.isfinite().all()
    assert float(data.train.abs().max()) > 100


def test_the_robust_unit_gives_quartiles_of_a_normal_and_does_not_see_what_lies_far_out():
    rng = np.random.default_rng(0)
    x = rng.standard_cauchy((999, 2)) * (3.0, 0.01) + (5.0, -1.0)
    y = robust(x, place="x").encode(x).double().numpy()
    low, middle, high = np.quantile(y, (0.25, 0.5, 0.75), axis=0)
    np.testing.assert_allclose(middle, 0, atol=1e-6)
    np.testing.assert_allclose(high - low, 2 * stats.norm.ppf(0.75), rtol=1e-5)
    wild = x + np.where(np.abs(y) > 3, 1e6 * np.sign(y), 0.0)
    np.testing.assert_allclose(robust(wild, place="x").scale, robust(x, place="x").scale)


def test_a_column_whose_quartiles_are_equal_has_no_robust_unit():
    x = np.array([[0.0], [1.0], [1.0], [1.0], [9.0]])
    with pytest.raises(DataError, match="quartiles of column 'n' are equal"):
        robust(x, place="x", columns=("n",))


def test_a_file_is_scaled_by_its_quartiles_on_request_and_by_its_deviation_otherwise(tmp_path):
    file = tmp_path / "x.csv"
    x = np.random.default_rng(0).standard_t(1.0, 500)
    file.write_text("x\n" + "\n".join(f"{v:.9g}" for v in x))
    heavy, plain = load(str(file), scaling="quartiles"), load(str(file))
    low, high = torch.quantile(heavy.train[:, 0], torch.tensor([0.25, 0.75]))
    assert float(high - low) == pytest.approx(1.349, abs=1e-3)
    assert float(plain.train.std(correction=0)) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(heavy.decode(heavy.train), plain.decode(plain.train), rtol=1e-4, atol=1e-5)
