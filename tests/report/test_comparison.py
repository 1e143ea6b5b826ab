"""Several runs stand side by side, and only what is alike is ranked."""

import json
import re
from pathlib import Path

from report.runs import Page, clouds, make_run, measure

from pushforward.report import write_report


def test_several_runs_stand_side_by_side(tmp_path: Path):
    folders = [make_run(tmp_path / name, seed=k) for k, name in enumerate(("first", "second", "third"))]
    (folders[2] / "metrics.json").unlink()
    path = write_report(folders)
    assert path == tmp_path / "comparison.html"
    page = Page(path)
    rows = re.findall(r"<tr><th scope=\"row\">w2.*?</tr>", page.source)
    assert len(rows) == 1
    assert re.findall(r'class="big">(.*?)</span>', rows[0]) == ["0.6", "0.7"]
    assert rows[0].count("lowest") == 1
    assert "–" in rows[0]
    assert page.source.count("<canvas") == 4
    assert len({(tuple(cloud["low"]), tuple(cloud["high"])) for cloud in clouds(page)}) == 1
    (bound,) = re.findall(r'<svg[^>]*aria-label="2 log 2[^"]*".*?</svg>', page.source)
    assert re.findall(r'data-run="(\d)"', bound) == ["0", "1", "2"]
    differs, same = page.source.split("What differs")[1].split("What is the same")
    assert '<th scope="row">seed</th><td>0</td><td>1</td><td>2</td>' in differs
    assert "divergence" not in differs
    assert "divergence" in same


def test_numbers_measured_differently_are_not_ranked(tmp_path: Path):
    a, b = make_run(tmp_path / "a"), make_run(tmp_path / "b", seed=1)
    (b / "metrics.json").write_text(json.dumps({"metrics": {"w2": measure(0.1, 0.5, n_fake=100)}}))
    page = Page(write_report([a, b]))
    assert "measured differently: do not compare" in page.text
    assert ">lowest<" not in page.source
    text = Page(write_report([a, make_run(tmp_path / "c", "digits")])).text
    assert "learned from different data" in text


def test_the_value_nearest_to_its_floor_leads_and_what_was_found_is_no_other_way_of_measuring(tmp_path: Path):
    folders = [make_run(tmp_path / name, seed=k) for k, name in enumerate("abc")]
    for folder, value in zip(folders, (0.42, 0.97, 1.2)):
        wide = measure(value, 1.0, se=0.01, n_real=0, better="near")
        wide["protocol"] |= {"effect": f"{value} σ wide", "samples_counted": round(1000 * value)}
        (folder / "metrics.json").write_text(json.dumps({"metrics": {"mode_width": wide}}))
    page = Page(write_report(folders))
    assert "do not compare" not in page.text
    assert "mode_width\u00a0≈" in page.source
    (row,) = re.findall(r"<tr><th scope=\"row\">mode_width.*?</tr>", page.source)
    assert re.findall(r'class="big">([^<]*)</span> <span class="mark good">(\w*)', row) == [("0.97", "nearest")]


def test_runs_of_one_name_get_labels_that_tell_them_apart(tmp_path: Path):
    text = Page(
        write_report([make_run(tmp_path / "a" / "run"), make_run(tmp_path / "b" / "run")], tmp_path / "x.html")
    ).text
    assert "a/run" in text
    assert "b/run" in text
