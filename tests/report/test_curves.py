"""Every number of the log has a chart and says how to read it."""

import re
from pathlib import Path

import pytest
from report.runs import Page, make_run

from pushforward.report import write_report
from pushforward.report.curves import TERMS


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
    assert "home<made A number that this method reports." in re.sub(r" last \S+ [\d,. −]*", " ", page.text)
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
    ("arguments", "line"),
    [({"divergence": "KL_LIP", "slope": 2.0}, 2.0), ({"divergence": "KL", "slope": 5.0, "penalty": 1.0}, 12.5),
     ({"divergence": "KL", "slope": 5.0, "penalty": 0}, None), ({"divergence": "JS", "slope": 5.0}, None),
     ({"divergence": "KL_LIP", "slope": 2.0, "critic": "none"}, None),
     ({"divergence": "KL_LIP"}, None), ({"divergence": "KL_LIP", "slope": "<b>"}, None)],
    ids=str,
)  # fmt: skip
def test_kinetic_energy_is_logarithmic_with_a_line_at_half_the_squared_slope(tmp_path: Path, arguments, line):
    run = make_run(tmp_path / "run", arguments=arguments)
    (run / "log.jsonl").write_text("".join(f'{{"step": {k}, "kinetic": {1.5 / k}}}\n' for k in (1, 2)))
    page = Page(write_report([run]))
    (box,), (levels,) = (re.findall(rf'data-{name}="(.*?)"', page.source) for name in ("box", "y"))
    assert page.source.count(" data-log>") == 1  # although the values span no decade
    drawn = [float(y) for y in re.findall(r'class="guide" x1="46" x2="352" y1="(.*?)"', page.source)]
    (_, top, _, bottom), (low, high) = map(float, box.split()), map(float, levels.split())
    found = [10 ** (low + (bottom - y) / (bottom - top) * (high - low)) for y in drawn]
    assert found == pytest.approx([] if line is None else [line], rel=0.02)
    assert ("still travelling" in page.text) == (line is not None)


@pytest.mark.parametrize("divergence", ["W1", "kl_lip", "alpha_lip(2)", "Lipschitz KL"])
def test_the_loss_of_a_dual_critic_is_not_read_as_a_logistic_one(tmp_path: Path, divergence: str):
    text = Page(write_report([make_run(tmp_path / "run", arguments={"divergence": divergence})])).text
    assert "not the logistic one" in text
    assert TERMS["bound"].reading not in text


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
