"""Every number of the log has a chart and says how to read it."""

import json
import re
from pathlib import Path

import pytest
from report.runs import EVIL, FACTS, Page, make_run

from pushforward.report import write_report
from pushforward.terms import TERMS, Scale, Term


def test_every_number_has_a_picture_or_shares_one_and_each_picture_says_how_to_read_it(tmp_path: Path):
    run = make_run(tmp_path / "run")
    with (run / "log.jsonl").open("a") as log:
        log.write('{"step": 200, "home<made": 3.0}\n')
    page = Page(write_report([run]))
    shared = {name for term in TERMS.values() for name in term.beside}
    alone = {name: term for name, term in TERMS.items() if name not in shared}
    for term in alone.values():
        assert term.title in page.text
        assert " ".join(term.reading.split()) in page.text
    assert all("Healthy:" in term.reading for term in TERMS.values())
    assert "home<made steps A number that this method reports." in re.sub(r" last \S+ [\d,. −]*", " ", page.text)
    assert page.source.count('<svg viewBox="0 0 360') == len(alone) + 1
    assert page.source.count("<polyline") == len(TERMS) + 1  # a line for each number, wherever it is drawn


def test_what_belongs_together_is_drawn_together_and_pages_of_several_runs_give_each_number_its_own(tmp_path: Path):
    runs = [make_run(tmp_path / name) for name in "ab"]
    for run in runs:
        (run / "log.jsonl").write_text(
            "".join(f'{{"step": {k}, "divergence": {1 / k}, "held": {2 / k}}}\n' for k in range(1, 9))
        )
    one, two = Page(write_report(runs[:1])), Page(write_report(runs))
    assert one.source.count('<svg viewBox="0 0 360') == 1
    assert re.findall(r'data-run="(\d)"', one.source) == ["0", "1"]
    assert "training held out" in one.text
    assert re.search(r"Divergence last 0\.125 ", one.text)  # the reading is the first number's, not held-out's
    assert two.source.count('<svg viewBox="0 0 360') == 2
    assert "Divergence, held out" in two.text


@pytest.mark.parametrize(
    ("fastest", "line"), [(2.0, 2.0), (5, 12.5), (None, None), (0.0, None), ("<b>", None), (1e300, None)], ids=str
)
def test_kinetic_energy_is_logarithmic_with_a_line_at_half_the_squared_slope(tmp_path: Path, fastest, line):
    run = make_run(tmp_path / "run", facts=FACTS | {"fastest": fastest})
    (run / "log.jsonl").write_text("".join(f'{{"step": {k}, "kinetic": {1.5 / k}}}\n' for k in (1, 2)))
    page = Page(write_report([run]))
    (box,), (levels,) = (re.findall(rf'data-{name}="(.*?)"', page.source) for name in ("box", "y"))
    assert page.source.count(" data-log>") == 1  # although the values span no decade
    drawn = [float(y) for y in re.findall(r'class="guide" x1="46" x2="352" y1="(.*?)"', page.source)]
    (_, top, _, bottom), (low, high) = map(float, box.split()), map(float, levels.split())
    found = [10 ** (low + (bottom - y) / (bottom - top) * (high - low)) for y in drawn]
    assert found == pytest.approx([] if line is None else [line], rel=0.02)
    assert ("still travelling" in page.text) == (line is not None)


@pytest.mark.parametrize("divergence", ["KL", "W1", "KL_LIP", "my.mod:CLIPPED_KL"])
@pytest.mark.parametrize("logistic", [True, False])
def test_how_a_loss_is_read_is_what_the_run_says_of_its_critic_whatever_its_divergence_is_called(
    tmp_path: Path, divergence: str, logistic: bool
):
    facts = FACTS | {"logistic": logistic, "dual": not logistic}
    text = Page(write_report([make_run(tmp_path / "run", facts=facts, arguments={"divergence": divergence})])).text
    assert ("is not the logistic one" in text) != logistic
    assert (TERMS["bound"].reading in text) == (TERMS["critic"].reading in text) == logistic


def test_a_folder_of_an_older_version_opens_and_says_in_one_line_what_it_lacks(tmp_path: Path):
    run = make_run(tmp_path / "run", format=1, facts=None, arguments={"divergence": "KL_LIP", "slope": 2.0})
    page = Page(write_report([run]))
    assert page.text.count("begun by an older version") == 1
    assert "may not be the logistic one" in page.text
    assert TERMS["bound"].reading not in page.text
    assert "still travelling" not in page.text


def test_terms_that_a_method_brings_are_read_off_run_json_and_nothing_in_them_is_markup(tmp_path: Path):
    own = Term("Home <b>made</b>", f"What it is. {EVIL} Healthy: 2.", scale=Scale((1.0, 3.0), log=False), beside=("b",))
    stored = {"a": own.as_dict(), "b": Term("Second", "", line="<i>two</i>").as_dict(), "c": EVIL,
              EVIL: {"title": EVIL},
              "d": {"title": 3, "reading": [], "beside": {"x": 1}, "scale": {"healthy": [EVIL, 1], "guides": "no",
                                                                             "decades": EVIL}}}  # fmt: skip
    run = make_run(tmp_path / "run", facts=FACTS | {"terms": stored})
    lines = [{"step": k, "a": 2.0, "b": 1.0, "c": 1.0, "d": 1.0, EVIL: 1.0} for k in (1, 2)]
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = Page(write_report([run]))
    assert own.title in page.text
    assert " ".join(own.reading.split()) in page.text
    assert "<b>made" not in page.source
    assert "<i>two" not in page.source
    assert not page.all("img", src="x")
    assert re.search(r"Home <b>made</b> last 2 · healthy", page.text)
    assert page.source.count('<svg viewBox="0 0 360') == 4  # a with b, c, d, and the one with a name of markup
    assert Page(write_report([run, make_run(tmp_path / "other")])).text


def test_numbers_that_are_not_finite_are_shown_as_such_and_break_the_curve(tmp_path: Path):
    run = make_run(tmp_path / "run", seconds=float("nan"), best={"step": 3, "score": float("inf")})
    lines = ['{"step": 1, "bound": 1}', '{"step": 2, "bound": NaN}', '{"step": 3, "bound": 1e999}',
             '{"step": 4, "bound": 2}', '{"step": Infinity, "bound": 1}', f'{{"step": 5, "bound": {10**400}}}',
             ]  # fmt: skip
    (run / "log.jsonl").write_text("\n".join(lines))
    (run / "metrics.json").write_text('{"metrics": {"w2": {"value": NaN, "floor": Infinity, "p": "x"}}}')
    page = Page(write_report([run]))
    assert "3 values of it were not finite" in page.text
    assert "score not finite" in page.text
    assert page.source.count("<polyline") == 2
    assert not re.search(r'(points|data-x|data-y|cx|cy|x1|y1)="[^"]*(nan|inf)', page.source)
