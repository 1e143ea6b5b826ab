"""A gate fails when its condition holds, says why, and refuses what it cannot check."""

import math

import pytest

from pushforward.errors import UsageError
from pushforward.metrics.core.result import Measure
from pushforward.metrics.gates import parse_gate

MEASURES = {
    "mmd@net-12345678": Measure(0.01, 0.0, p=0.004),
    "c2st": Measure(0.55, 0.5, p=0.03),
    "FD@net-12345678": Measure(3.0, 2.0, 0.1),
    "recall": Measure(0.4, 0.9, better="higher"),
    "broken": Measure(math.nan, 1.0),
}


@pytest.mark.parametrize(
    ("gate", "fails"),
    [
        ("p<0.01", True),  # 2 tests: Holm doubles .004
        ("p<0.008", False),
        ("p<=0.008", True),
        ("mmd.p<0.005", True),
        ("mmd@net-12345678.p < 5e-3", True),
        ("c2st.p<0.01", False),
        ("c2st>0.54", True),
        ("recall<0.5", True),
        ("recall<.4", False),
        ("FD>1.4*floor", True),
        ("FD>1.6*floor", False),
        ("FD > floor", True),
        ("FD.se>=0.1", True),
        ("recall>-1e9", True),
        ("broken>5", True),
    ],
)
def test_a_gate_fails_exactly_when_its_condition_holds(gate, fails):
    assert (parse_gate(gate).check(MEASURES) is not None) == fails


def test_a_failed_gate_names_value_and_limit():
    assert parse_gate("FD>1.4*floor").check(MEASURES) == "FD@net-12345678 = 3 > 2.8 = 1.4 x floor"
    assert parse_gate("p<0.05").check(MEASURES) == "smallest of 2 p after Holm = 0.008 < 0.05"


@pytest.mark.parametrize("text", ["", "p", "p<", "<0.1", "p=0.1", "p<0.1*", "p<*floor", "p<0.1floor", "p<abc", "a b<1"])
def test_what_is_no_gate_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r"p<0\.01"):
        parse_gate(text)


@pytest.mark.parametrize(
    ("gate", "words"),
    [("recal<0.5", "did you mean recall"), ("recall.p<0.5", "no p"), ("recall.se<1", "no se")],
)
def test_a_gate_on_what_was_not_measured_is_refused(gate, words):
    with pytest.raises(UsageError, match=words):
        parse_gate(gate).check(MEASURES)


@pytest.mark.parametrize(
    ("gate", "tests", "permutations", "remedy"),
    [
        ("p<0.01", 4, 200, "--permutations 400"),
        ("p<0.01", 4, 399, "--permutations 400"),
        ("mmd.p<0.001", 4, 200, "--permutations 1000"),
        ("p<=0.001", 1, 200, "--permutations 1000"),
        ("p<0", 1, 200, "above 0"),
    ],
)
def test_a_gate_that_could_never_fail_is_refused_with_the_remedy(gate, tests, permutations, remedy):
    with pytest.raises(UsageError, match=f"could never fail.*{remedy}"):
        parse_gate(gate).expect(["mmd", "c2st"], tests, permutations)


def test_a_gate_that_can_fail_is_accepted_at_the_smallest_number_of_permutations():
    parse_gate("p<0.01").expect(["mmd"], 4, 400)
    parse_gate("p<=0.01").expect(["mmd"], 4, 399)
    parse_gate("mmd.p<0.01").expect(["mmd"], 4, 100)
    parse_gate("recall<0.5").expect(["recall"], 0, 0)


def test_p_without_any_test_is_refused():
    with pytest.raises(UsageError, match="no test"):
        parse_gate("p<0.1").check({"FD": MEASURES["recall"]})
