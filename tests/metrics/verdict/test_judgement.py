"""One rule: whatever was measured and found, verdict, marks, page, JSON and gates say the same of it."""

from __future__ import annotations

import ast
import json
import math
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import pushforward
from pushforward.metrics import Measure, Report, evaluate, holm, judge
from pushforward.metrics.core.result import test_values as p_values
from pushforward.metrics.gates import parse_gate
from pushforward.metrics.verdict.judgement import LEVEL, too_few
from pushforward.metrics.verdict.readings import GRADES, of_value, shift
from pushforward.plain.findings import FINDINGS, Finding, LeftOut
from pushforward.report.numbers.metrics import MARKS, reading, rows

COPYING = {"hypothesis": "does not copy"}
AGAINST = {"copies", "support", "repeats"}  # the samples; other findings put the comparison in doubt


def drawn(seed: int) -> Report:
    """A report of odd measures and findings."""
    rng = random.Random(seed)
    names = rng.sample(["mmd", "c2st", "w2", "copying", "FD@a-1", "nll"], rng.randint(0, 5))
    found = rng.sample(sorted(FINDINGS), rng.choice([0, 0, 1, 2]))
    return Report(
        {name: measure(rng) for name in names},
        findings=tuple(Finding(name, f"{name} in words", name in AGAINST) for name in found),
    )


def measure(rng: random.Random) -> Measure:
    """A measure with any of floor, error, p-value and hypothesis."""
    return Measure(
        rng.choice([math.nan, 0.0, rng.uniform(-10, 10), rng.uniform(0, 2)]),
        rng.choice([None, 0.0, rng.uniform(-3, 10)]),
        rng.choice([None, 0.0, rng.uniform(0, 5)]),
        rng.choice([None, math.nan, 1e-148, 0.001, 0.02, 0.05, 0.3, rng.random()]),
        rng.randint(0, 500),
        rng.randint(0, 500),
        better=rng.choice(["lower", "higher", "near", "none"]),
        protocol=rng.choice([{}, {}, COPYING, {"hypothesis": "does not overfit"}, {"scale": "interval"}]),
    )


@pytest.mark.parametrize("seed", range(400))
def test_marks_verdict_json_page_and_gates_are_of_one_mind(seed: int):
    report = drawn(seed)
    said, stored = report.judgement, json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert (stored["grade"], stored["verdict"]) == (said.grade, said.verdict)
    tests = p_values(report)
    rejected = {name for name, p in zip(tests, holm(list(tests.values()))) if p < LEVEL}
    for name, measure in report.items():
        own, record = said.readings[name], stored["metrics"][name]
        assert (record["grade"], record["reading"]) == (own.grade, own.words)
        assert reading(record)[0] == MARKS[own.grade]
        if name in tests:
            assert (own.grade == "bad") == (name in rejected)
        if own.grade == "bad":  # whatever is red stands in the verdict, by its own name or by that of its finding
            assert said.grade == "bad"
            copied = measure.protocol == COPYING and "copies of the training data" in said.verdict
            assert record["short"] in said.verdict or copied
    counted = any(found.against for found in report.findings)
    overfitted = any(said.readings[name].grade == "bad" for name in report if name not in tests)
    assert (said.grade == "bad") == bool(rejected or counted or overfitted)
    assert (parse_gate("bad").check(report) is not None) == (said.grade == "bad")
    assert (parse_gate("doubtful").check(report) is not None) == (said.grade in ("bad", "doubtful"))
    if said.grade == "good":
        assert not report.findings
        assert said.verdict.startswith("Not told apart")
    for found in report.findings:
        assert parse_gate(found.name).check(report) == found.words
        assert found.words in stored["warnings"]
        assert FINDINGS[found.name] in said.verdict.lower() or (found.name == "few" and rejected)
    if tests:
        smallest = min(holm(list(tests.values())))
        assert (parse_gate("p<0.05").check(report) is not None) == (smallest < 0.05) == ("differ:" in said.verdict)


def test_the_page_on_evaluation_lists_every_finding_and_how_it_counts():
    page = (Path(pushforward.__file__).parents[2] / "docs/evaluation.md").read_text()
    table = page.split("| finding | means | counts |")[1].split("\n\n")[0]
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| `")]
    counts = {name: line[2].split(";")[0].strip() for line in lines for name in re.findall(r"`(\w+)`", line[0])}
    assert counts == {name: "against the samples" if name in AGAINST else "doubt" for name in FINDINGS}


@pytest.mark.parametrize("seed", range(50))
def test_nothing_is_green_where_the_comparison_itself_is_in_doubt(seed: int):
    doubted = Report(drawn(seed).measures, findings=(Finding("same", "the same file", against=False),))
    assert doubted.grade in ("bad", "doubtful")
    assert not any(own.grade == "good" for own in doubted.judgement.readings.values())


def test_numbers_of_copying_accuse_nobody_without_copies_to_show():
    honest = {"copying": Measure(-25.0, 0.0, None, 6.6e-148, 500, 500, better="none", protocol=COPYING),
              "train_gap": Measure(-0.1, 0.0, 0.03, 0.001, 500, 500, better="none", protocol=COPYING),
              "mmd": Measure(0.0, 0.0, None, 0.4, 500, 500)}  # fmt: skip
    plain = Report(honest)
    assert plain.grade == "good"
    assert all(own.grade != "bad" for own in plain.judgement.readings.values())
    assert 'class="mark bad"' not in rows(plain.as_dict()["metrics"])
    copied = Report(honest, findings=(Finding("copies", "30 rows are copies"),))
    assert copied.grade == "bad"
    assert copied.judgement.readings["copying"].grade == "bad"
    assert copied.verdict.startswith("Against the samples: copies of the training data.")


def test_a_test_that_holm_keeps_is_not_told_apart_anywhere():
    report = Report({"mmd": Measure(0.1, 0.0, p=0.3), "c2st": Measure(0.6, 0.5, p=0.03)})
    assert report.verdict.startswith("Not told apart")
    assert report.judgement.readings["c2st"].words.startswith("not told apart from data (p 0.03, 0.06 after Holm)")


def test_a_verdict_of_shares_says_how_far_they_are_off():
    shares = Measure(0.0004, 0.0001, 0.0001, 1e-4, 20_000, 0, protocol={"off": 0.0142})
    assert "mode_kl (p 0.0001, a share 1.4 points off)" in Report({"mode_kl": shares}).verdict
    assert "a share 1.4 points off" in Report({"mode_kl": shares}).judgement.readings["mode_kl"].words


@pytest.mark.parametrize("n", [5, 16, 49])
def test_too_few_samples_are_never_green(n):
    g = torch.Generator().manual_seed(n)
    found = evaluate(torch.randn(n, 3, generator=g), torch.randn(400, 3, generator=g))
    assert found.grade == "doubtful"
    assert found.verdict.startswith("Too few samples to say. Not told apart: ")
    assert [one.name for one in found.findings] == ["few"]
    assert found.findings[0].numbers["shift"] == shift(n, 400)
    assert not any(own.grade == "good" for own in found.judgement.readings.values())
    assert parse_gate("few").check(found) is not None


@pytest.mark.parametrize("n", [2, 3, 6])
def test_of_a_handful_of_samples_the_verdict_is_short(n):
    g = torch.Generator().manual_seed(n)
    fake, real, train = (torch.randn(k, 3, generator=g) for k in (n, 400, 800))
    found = evaluate(fake, real, train=train)
    assert {one.name for one in found.findings} == {"few", "power"}
    assert found.verdict.startswith("In doubt: too few samples, no power to see copies. Not told apart: ")
    assert found.verdict.count(".") - found.verdict.count("0.") == 2  # two sentences


def test_warnings_are_the_words_of_findings_and_what_was_left_out_each_once():
    g = torch.Generator().manual_seed(0)
    train = torch.randn(400, 3, generator=g)
    fake, real = train[:300] + 1e-6, torch.randn(300, 3, generator=g)
    found = evaluate(fake, real, train=train)
    words = [one.words for one in found.findings]
    assert any("copies training data" in one for one in words)
    assert list(found.warnings) == words
    late = replace(found, left_out=(LeftOut("mmd", "no time", ("mmd",)),))
    assert list(late.warnings) == [*words, "mmd left out: no time"]
    assert found.as_dict()["warnings"] == words


def test_one_number_that_is_nearly_its_floor_is_not_said_to_look_like_all_of_it():
    assert of_value(Measure(0.998, 0.9965, 2e-5, better="higher")).words.endswith("down to 99.9% of it would look so")


def test_what_few_samples_show_is_no_matter_of_doubt():
    g = torch.Generator().manual_seed(0)
    found = evaluate(torch.randn(30, 3, generator=g) + 3, torch.randn(400, 3, generator=g))
    assert (found.grade, found.findings) == ("bad", ())


def test_beside_few_samples_that_a_test_tells_apart_nothing_else_is_green():
    g = torch.Generator().manual_seed(0)
    found = evaluate(0.2 * torch.randn(16, 3, generator=g), torch.randn(400, 3, generator=g))
    assert found.verdict.startswith("Few rows (16 against 400): only what differs is sure. Samples and data differ: ")
    assert not any(own.grade == "good" for own in found.judgement.readings.values())


def test_a_share_of_all_rows_is_sure_to_three_of_them():
    whole = Measure(1.0, 1.0, 0.0, n_fake=30, better="higher")
    assert of_value(whole).words == "as good as can be expected; down to 90% of it would look so"  # 1 - 3/30


def test_more_than_fresh_data_have_is_no_virtue_and_what_half_would_show_no_news():
    assert of_value(Measure(9.6, 1.0, 0.9, better="higher")).grade == "record"
    assert of_value(Measure(1.0, 1.0, 0.25, better="higher")).grade == "doubtful"
    assert of_value(Measure(1.0, 1.0, 0.24, better="higher")).grade == "good"


def test_tests_that_could_not_reject_are_too_few():
    held = {name: Measure(0.0, 0.0, None, 0.5, protocol={"permutations": 19}) for name in "ab"}
    assert [one.name for one in too_few(held, 500, 500)] == ["few"]  # 2 tests x 1/20 is no less than 5 %
    enough = {name: replace(one, protocol={"permutations": 99}) for name, one in held.items()}
    assert too_few(enough, 500, 500) == ()


def test_the_shift_that_samples_show_is_seen_four_times_in_five():
    """The mean of n + m normal numbers of known width, by a two-sided z-test at 5 %, shifted by `shift`."""
    n, m = 40, 70
    z = shift(n, m) / (1 / n + 1 / m) ** 0.5
    power = 1 - torch.distributions.Normal(0.0, 1.0).cdf(torch.tensor(1.959964 - z)).item()
    assert power == pytest.approx(0.8, abs=0.002)


def test_a_green_reading_says_what_would_have_looked_the_same():
    words = of_value(Measure(4.6, 3.2, 1.1)).words
    factor = float(re.search(r"up to ([\d.]+) ×", words)[1])
    assert of_value(Measure(3.2 * factor * 0.99, 3.2, 1.1)).words.startswith("at the floor")
    assert of_value(Measure(3.2 * factor * 1.01, 3.2, 1.1)).grade == "record"
    apart = of_value(Measure(4.6, 3.2, 1.1, protocol={"se_apart": 0.2}))  # the data's rows are in value and floor alike
    assert apart.grade == "record"
    assert apart.words == "1.4 × the floor"
    assert of_value(Measure(4.6, 3.2, 1.7)).grade == "doubtful"  # twice the floor would look the same
    assert of_value(Measure(0.85, 0.9, 0.03, better="higher")).words.endswith("down to 93% of it would look so")
    none_seen = Measure(0.0, 0.0, 0.0, None, 300, 300, protocol={"se": "binomial"})
    assert of_value(none_seen).words == "at the floor; up to 0.01 above would look so"  # 3/300


def test_a_value_far_below_its_floor_is_not_praised():
    assert of_value(Measure(0.3, 1.0, 0.05)).grade == "record"
    assert "nearer than fresh data" in of_value(Measure(0.3, 1.0, 0.05)).words


def test_every_finding_has_words_that_gates_and_verdicts_know():
    names = set()
    for path in Path(pushforward.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                first = node.args[0] if node.args else next(word.value for word in node.keywords if word.arg == "name")
                assert isinstance(first, ast.Constant), f"{path}: the name of a finding stands where it is made"
                names.add(first.value)
    assert names <= FINDINGS.keys()
    assert not set(FINDINGS) & {*GRADES, "p"}


def test_a_short_name_finds_the_only_measure_that_bears_it():
    report = Report({"FD@digits8-1a2b": Measure(1.0), "hill[a]": Measure(2.0), "hill[b]": Measure(3.0)})
    assert report["FD"] is report["fd"] is report["FD@digits8-1a2b"]
    assert "FD" in report
    stored = report.as_dict()["metrics"]
    assert [record["short"] for record in stored.values()] == ["FD", "hill[a]", "hill[b]"]
    with pytest.raises(KeyError, match=r"short name of hill\[a\], hill\[b\]"):
        report["hill"]
    with pytest.raises(KeyError, match="did you mean FD"):
        report["FDD"]
    assert judge({}).grade == "record"


def test_a_value_that_should_be_at_its_floor_is_read_alike_on_either_side_of_it():
    low, high = (of_value(Measure(value, 1.0, 0.02, better="near")) for value in (0.42, 1.58))
    assert (low.grade, low.words) == ("record", "0.42 × the floor")
    assert (high.grade, high.words) == ("record", "1.6 × the floor")
    for value in (0.97, 1.03):
        close = of_value(Measure(value, 1.0, 0.02, better="near"))
        assert (close.grade, close.words) == ("good", "at the floor; 0.96 to 1.04 × it would look so")
        assert of_value(Measure(value, 1.0, 0.3, better="near")).grade == "doubtful"
        assert of_value(Measure(value, 1.0, better="near")).words == f"{value:.2g} × the floor"
    assert of_value(Measure(1.0, 1.0, better="near")).words == "at the floor; its error is not known"


def test_a_test_says_how_much_it_found_in_the_words_of_its_measure():
    wide = Measure(0.42, 1.0, 0.01, 0.001, 2500, better="near", protocol={"effect": "0.42 σ wide"})
    found = Report({"mode_width": wide})
    assert "mode_width (p 0.001, 0.42 σ wide)" in found.verdict
    assert found.judgement.readings["mode_width"].words == (
        "told apart from data (p 0.001, 0.42 σ wide), 0.42 × the floor"
    )
