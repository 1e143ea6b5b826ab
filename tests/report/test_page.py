"""The page of a run says what was run, how it went and how it was measured, and lands where it is wanted."""

import json
from pathlib import Path

from report.runs import FACTS, Page, make_run, measure

from pushforward.metrics.suite import READINGS
from pushforward.report import write_report


def test_a_page_says_what_was_run_and_how_it_went(tmp_path: Path):
    text = Page(write_report([make_run(tmp_path / "run")])).text
    for words in ("vgrow on toy:ring8", "Finished. All 200 steps were done.", "1 min 33 s", "step 100", "score 0.25",
                  "pushforward train vgrow --data toy:ring8 --seed 0", "divergence KL", "torch 2.13.0", "threads 2",
                  "device cpu", "precision float32", "training samples 2,000", "the last checkpoint, step 200",
                  ):  # fmt: skip
        assert words in text


def test_every_metric_appears_with_its_floor_and_a_reading(tmp_path: Path):
    run = make_run(tmp_path / "run")
    metrics = {name: measure(1.234, 1.0) for name in READINGS} | {"mine@abc": measure(7.5, None, better="none")}
    metrics |= {"broken": measure(None, 2.0), "far": measure(0.0125, 0.0, p=0.004)}
    metrics |= {"share": measure(0.49, 0.98, better="higher"), "close": measure(1.04, 1.0, se=0.03)}
    (run / "metrics.json").write_text(json.dumps({"metrics": metrics}))
    text = Page(write_report([run])).text
    for name in metrics:
        assert name in text
    for words in ("1.234", "1.2 × the floor", "for the record", "not finite", "told apart from data (p 0.004)",
                  "50 % of the floor", "at the floor"):  # fmt: skip
        assert words in text


def test_a_page_is_written_where_it_is_wanted_and_leaves_nothing_else(tmp_path: Path):
    run = make_run(tmp_path / "run")
    assert write_report([run]) == run / "report.html"
    assert write_report([run], tmp_path / "new" / "page.html") == tmp_path / "new" / "page.html"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]


def test_a_page_says_of_what_kind_the_run_is_as_far_as_its_folder_does(tmp_path: Path):
    text = Page(write_report([make_run(tmp_path / "run", facts=FACTS | {"conditional": True, "fastest": 0.25})])).text
    for words in ("samples come from generator", "with classes yes", "critic by logistic regression yes",
                  "critic by its divergence no", "no sample faster than 0.25"):  # fmt: skip
        assert words in text
    assert "Kind Not recorded." in Page(write_report([make_run(tmp_path / "old", format=1, facts=None)])).text
