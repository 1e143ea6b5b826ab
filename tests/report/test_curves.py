"""Every number of the log has a chart and says how to read it."""

import re
from pathlib import Path

import pytest
from report.runs import Page, make_run

from pushforward.report import write_report
from pushforward.report.curves import TERMS


def test_every_curve_has_a_picture_and_says_how_to_read_it(tmp_path: Path):
    run = make_run(tmp_path / "run")
    with (run / "log.jsonl").open("a") as log:
        log.write('{"step": 200, "home<made": 3.0}\n')
    page = Page(write_report([run]))
    for term in TERMS.values():
        assert term.title in page.text
        assert " ".join(term.reading.split()) in page.text
        assert "Healthy:" in term.reading
    assert "home<made A number that this method reports." in re.sub(r" last \S+ [\d,. −]*", " ", page.text)
    assert page.source.count('<svg viewBox="0 0 360') == len(TERMS) + 1


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
