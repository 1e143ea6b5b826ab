"""A gate fails when its condition holds, says why, and refuses what it cannot check."""

import math

import numpy as np
import pytest
import torch

from pushforward.data.compare.pairs import as_pair
from pushforward.errors import UsageError
from pushforward.metrics import Measure, Report, evaluate
from pushforward.metrics.gates import parse_gate
from pushforward.metrics.suite import PARTS, unsought
from pushforward.plain.findings import FINDINGS, Finding

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
        ("p<=0.001", 1, 200, "--permutations 999"),
        ("p<0.003", 5, 999, "--permutations 1666"),  # 5 / 1667 = .0029994
        ("p<=0.003", 3, 200, "--permutations 999"),
        ("p<0.2", 1, 3, "--permutations 5"),
        ("p<0", 1, 200, "above 0"),
    ],
)
def test_a_gate_that_could_never_fail_is_refused_with_the_remedy(gate, tests, permutations, remedy):
    with pytest.raises(UsageError, match=f"could never fail.*{remedy}"):
        parse_gate(gate).expect(["mmd", "c2st"], tests, permutations)


def test_a_gate_that_can_fail_is_accepted_at_the_smallest_number_of_permutations():
    parse_gate("p<0.01").expect(["mmd"], 4, 400)
    parse_gate("p<=0.01").expect(["mmd"], 4, 399)
    parse_gate("p<0.003").expect(["mmd"], 5, 1666)
    parse_gate("mmd.p<0.01").expect(["mmd"], 4, 100)
    parse_gate("recall<0.5").expect(["recall"], 0, 0)


def test_p_without_any_test_is_refused():
    with pytest.raises(UsageError, match="no test"):
        parse_gate("p<0.1").check({"FD": MEASURES["recall"]})


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ("p<5%", "did you mean p<0.05?"),
        ("p<0,05", "did you mean p<0.05?"),
        ("p=0.05", "did you mean p<0.05?"),
        ("p==.05", "did you mean p<.05?"),
        ("recall=<0.5", "did you mean recall<=0.5?"),
        ("FD>1.5xfloor", r"did you mean FD>1.5\*floor?"),
        ("FD>1.5floor", r"did you mean FD>1.5\*floor?"),
        ("FD>floor*1.5", r"did you mean FD>1.5\*floor?"),
        ("copy", "did you mean copies?"),
        ("suport", "did you mean support?"),
        ("p>0.05", "would fail where no test tells the sets apart: write p<0.05"),
        ("p<0.5*floor", "p stands for all tests together"),
    ],
)
def test_a_gate_that_is_nearly_right_is_answered_with_the_right_one(gate, words):
    with pytest.raises(UsageError, match=words.replace("?", r"\?")):
        parse_gate(gate)


@pytest.mark.parametrize(
    ("gate", "measured", "permutations", "words"),
    [
        ("mmd.p<0.05", ["mmd"], 0, "--permutations 0"),
        ("p<0.05", ["mmd", "c2st"], 0, "--permutations 0"),
        ("mmd.q<0.05", ["mmd"], 99, "mmd has no 'q': there are mmd.value, mmd.p"),
        ("manifold<0.5", ["precision", "recall"], 99, "manifold gives precision, recall: gate one of them"),
        ("copies", ["mmd"], 99, "--train"),
        ("split", ["mmd"], 99, "--train"),
        ("sliced_w1>1", ["sliced_w2"], 99, "did you mean sliced_w2"),
    ],
)
def test_a_gate_that_nothing_will_be_held_against_is_refused_before_any_work(gate, measured, permutations, words):
    with pytest.raises(UsageError, match=words):
        parse_gate(gate).expect(measured, 1, permutations, unsought([PARTS["mmd"]], trained=False))


def test_names_of_parts_and_other_cases_are_understood():
    measures = {"FID@inception-1": Measure(9.0, 2.0), "IS@inception-1": Measure(5.0, 6.0, better="higher")}
    for gate in ("fd>2*floor", "FID>8", "fid@INCEPTION-1>8", "score<6", "Is < 6"):
        assert parse_gate(gate).check(measures) is not None, gate
        parse_gate(gate).expect(["FD", "FID", "IS"])
    assert parse_gate("P<0.01").check(MEASURES) is not None


def test_a_gate_whose_sign_is_the_wrong_way_round_says_so_and_a_floor_of_nothing_is_no_limit():
    assert "higher is better: is the sign the wrong way round?" in parse_gate("recall>0.3").check(MEASURES)
    with pytest.raises(UsageError, match=r"floor of mmd@net-12345678 is 0.*gate mmd@net-12345678\.p"):
        parse_gate("mmd>2*floor").check(MEASURES)


def test_of_several_measures_of_a_name_any_fails_the_gate():
    tails = {"hill[a]": Measure(3.0, better="none"), "hill[b]": Measure(1.0, better="none")}
    assert parse_gate("hill<2").check(tails) == "hill[b] = 1 < 2"
    assert parse_gate("hill[a]<2").check(tails) is None


@pytest.mark.parametrize(
    ("gate", "measured", "permutations", "words"),
    [
        ("p<0.05", ["FD", "recall"], 999, "no test with a p-value is made: add one to --metrics"),
        ("p<0.05", ["w2"], 0, "no test with a p-value is made"),
        ("p<0.05", ["mmd", "recall"], 0, "no test with a p-value is made|--permutations 0"),
        ("bad", ["FD", "recall"], 999, "no model would look bad"),
        ("bad", ["mmd", "c2st"], 0, "no model would look bad"),
    ],
)
def test_a_gate_on_the_tests_or_the_verdict_needs_one_that_is_made(gate, measured, permutations, words):
    with pytest.raises(UsageError, match=words):
        parse_gate(gate).expect(measured, sum(name in ("mmd", "c2st") for name in measured), permutations)


def test_tests_of_other_kinds_and_of_the_users_may_answer_for_the_verdict():
    for measured in (["mode_kl"], ["mode_width"], ["holes"], ["mine"], ["recall", "mmd"]):
        parse_gate("bad").expect(measured, 1, 999)
        parse_gate("p<0.05").expect(measured, 1, 999)
    parse_gate("bad").expect(["copying"], 0, 0)
    parse_gate("support").expect(["recall"], 0, 0)


def test_a_gate_on_what_nothing_looks_for_is_refused_before_any_work():
    lacking = dict(as_pair(*(np.zeros((4, 8, 8), np.uint8) for _ in range(2))).unsought)
    lacking |= unsought([PARTS["mmd"], PARTS["memorisation"]], trained=False)
    for gate, words in (("support", "not in images"), ("leak", "--train")):
        with pytest.raises(UsageError, match=f"gate '{gate}' cannot be held: .*{words}"):
            parse_gate(gate).expect(["mmd"], 1, 999, lacking)
    for gate in FINDINGS.keys() - {"support", "leak"}:
        parse_gate(gate).expect(["mmd"], 1, 999, lacking)


def test_a_leak_is_gated_without_the_part_that_looks_for_copies_since_it_is_found_without():
    g = torch.Generator().manual_seed(0)
    train = torch.randn(300, 2, generator=g)
    found = evaluate(torch.randn(200, 2, generator=g), train[:200], train=train, metrics=[PARTS["mmd"]])
    lacking = unsought([PARTS["mmd"]], trained=True)
    parse_gate("leak").expect(["mmd"], 1, 999, lacking)
    assert "are training rows" in (parse_gate("leak").check(found) or "")
    for gate in ("copies", "split", "power"):
        with pytest.raises(UsageError, match="cannot be held: memorisation is not measured"):
            parse_gate(gate).expect(["mmd"], 1, 999, lacking)


def test_copies_that_equal_rows_show_are_known_without_the_part_that_looks_for_others():
    g = torch.Generator().manual_seed(0)
    real, train = (torch.randn(200, 2, generator=g) for _ in range(2))
    copied, fresh = (
        evaluate(fake, real, train=train, metrics=[PARTS["mmd"]])
        for fake in (train.flip(0), torch.randn(200, 2, generator=g))
    )
    assert "The model copies training data" in (parse_gate("copies").check(copied) or "")
    assert "copies" not in copied.unknown
    assert "memorisation is not measured" in fresh.unknown["copies"]
    with pytest.raises(UsageError, match="cannot be held"):
        parse_gate("copies").check(fresh)


def test_doubtful_means_doubtful_or_worse_and_what_is_no_gate_is_told_of_it():
    bad = Report({"mmd": Measure(0.1, 0.0, p=0.001)})
    doubted = Report({"mmd": Measure(0.0, 0.0, p=0.5)}, findings=(Finding("few", "too few", against=False),))
    good = Report({"mmd": Measure(0.0, 0.0, p=0.5)})
    failed = [[parse_gate(gate).check(one) for one in (bad, doubted, good)] for gate in ("bad", "doubtful")]
    assert failed == [["the verdict is bad", None, None], ["the verdict is bad", "the verdict is doubtful", None]]
    with pytest.raises(UsageError, match="a word: bad, doubtful, copies"):
        parse_gate("")
