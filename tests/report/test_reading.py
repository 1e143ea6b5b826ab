"""Whatever is missing or damaged in a run folder is said, and only a run without description is refused."""

from pathlib import Path

import pytest
from report.runs import Page, make_run

from pushforward.errors import DataError, UsageError
from pushforward.report import write_report


@pytest.mark.parametrize(
    "pieces", [["metrics.json"], ["log.jsonl"], ["samples"], ["metrics.json", "log.jsonl", "samples"]]
)
def test_a_page_without_some_pieces_says_which_are_missing(tmp_path: Path, pieces: list[str]):
    run = make_run(tmp_path / "run")
    for name in pieces:
        (run / name).rename(tmp_path / name)
    text = Page(write_report([run])).text
    for name in pieces:
        assert name in text
    assert "vgrow on toy:ring8" in text
    assert len(Page(write_report([run, make_run(tmp_path / "other")])).text) > len(text)


@pytest.mark.parametrize("content", ["", "\n\n", "{", '{"step": 1, "seconds": 2}\n{"step": 2, "bou', "[]\n7\nnull\n"])
def test_an_empty_or_cut_log_leaves_no_curve_and_is_mentioned(tmp_path: Path, content: str):
    run = make_run(tmp_path / "run")
    (run / "log.jsonl").write_text(content)
    page = Page(write_report([run]))
    assert "log.jsonl" in page.text
    assert 'class="curve"' not in page.source


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "null",
        '"words"',
        '{"recipe": "x"}',
        '{"recipe": "x", "arguments": [], "step": 1}',
        "[" * 100_000,
        "\xff",
    ],
)
def test_a_damaged_description_is_bad_data_and_named(tmp_path: Path, content: str):
    run = make_run(tmp_path / "run")
    (run / "run.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=r"run\.json: not a description of a run"):
        write_report([run])
    (run / "run.json").unlink()
    with pytest.raises(DataError, match=r"run\.json: there is no such file"):
        write_report([run])
    with pytest.raises(UsageError):
        write_report([])


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"metrics": 3}', '{"metrics": {"w2": 3, "x": null}}', "[" * 100_000]
)
def test_damaged_metrics_do_not_stop_the_page(tmp_path: Path, content: str):
    run = make_run(tmp_path / "run")
    (run / "metrics.json").write_text(content)
    assert Page(write_report([run])).text
