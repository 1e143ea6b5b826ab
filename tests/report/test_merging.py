"""The page of a merge says in its first line what is the matter, and below who moved and who has no counterpart."""

from __future__ import annotations

import io
import re
from base64 import b64decode

import numpy as np
import pytest
from PIL import Image
from report.runs import EVIL, Page

from pushforward.cli import main
from pushforward.report.merging import Embedding, write_merge
from pushforward.report.values import LIGHT

SPEED = np.r_[np.full(30, 0.49), np.geomspace(0.49, 0.01, 60)]


def merged(labels=("b", "t"), batches=("new", "newer"), kinetic=SPEED, fast=False, **more):
    """What a merge found, with one cloud for each batch and class."""
    clouds = [(batch, label) for batch in batches for label in labels]
    own = {"divergence": np.geomspace(2, 0.1, len(kinetic)), "kinetic": kinetic}
    numbers = {f"{kind}_{when}": k for kind in ("w2", "energy") for k, when in enumerate(("split", "after", "before"))}
    columns = dict(zip(("batch", "label"), (np.array(column, object) for column in zip(*clouds))))
    return {
        "mode": "per_class",
        "distances": {batch: numbers | {"w2_spread": 0.1, "w2_seen": numbers["w2_split"]} for batch in batches},
        "scores": {},
        "clouds": columns | {"cells": np.arange(100, 100 + len(clouds)), "travelling": np.full(len(clouds), fast)},
        "curves": {str(k): own for k in range(len(clouds))},
        "warnings": np.array([], object),
        "w2_reconstruction": 0.0,
    } | more


def cells(n=360, classes=2, matched=None, move=True):
    """Cells of three batches, of which all of two move."""
    rng = np.random.default_rng(0)
    before, batch = rng.normal(size=(n, 4)), np.array(["new", "newer", "old"])[np.arange(n) % 3]
    labels = np.array([f"class {k}" for k in range(classes)])[np.arange(n) // 3 % classes]
    after = before + (2.0 * (batch != "old") * move)[:, None]
    return Embedding(before, after, batch, labels, "old", *([] if matched is None else [matched]))


def page(tmp_path, found, shown):
    return Page(write_merge(found, shown, tmp_path / "page.html"))


def told(page):
    """The grade of a page and all its words."""
    (status,) = (tag["class"] for tag in page.all("p") if (tag.get("class") or "").startswith("status"))
    return status, " ".join("".join(page.words).split())


@pytest.mark.parametrize(("fast", "grade"), [(False, "good"), (True, "fair")])
def test_a_page_speaks_of_travelling_where_the_flow_did_not_end_and_is_then_not_green(tmp_path, fast, grade):
    status, words = told(page(tmp_path, merged(fast=fast), cells()))
    assert status == f"status {grade}"
    assert ("travelling" in words) == fast


def test_the_first_line_names_what_is_the_matter(tmp_path):
    found = merged(("",))
    found["clouds"]["travelling"] = np.array([False, True])
    found["distances"]["new"] = found["distances"]["new"] | {"w2_split": 9.0}
    matched = np.arange(360) % 36 != 1
    _, words = told(page(tmp_path, found, cells(matched=matched)))
    first = words[words.index("Merged") :].split(". ")[0]
    assert first == (
        "Merged, but cells of newer were still travelling; cells of new were learned by heart; 10 cells have no "
        "counterpart"
    )


def test_the_first_line_counts_clouds_where_many_were_still_travelling(tmp_path):
    found = merged()
    found["clouds"]["travelling"] = np.array([True, True, False, True])
    _, words = told(page(tmp_path, found, cells()))
    assert "Merged, but cells of 3 of 4 clouds were still travelling." in words


def test_notes_of_the_merge_are_counted_in_the_first_line_and_keep_it_from_green(tmp_path):
    status, words = told(page(tmp_path, merged(warnings=["one thing", "another thing"]), cells()))
    assert status == "status fair"
    assert "Read the 2 notes below first" in words


@pytest.mark.parametrize("clouds", [{}, {"batch": np.array([], object), "label": np.array([], object)}])
def test_where_nothing_moved_a_page_is_written_that_says_so(tmp_path, clouds):
    found = merged(clouds=clouds, curves={})
    status, words = told(page(tmp_path, found, cells(move=False, matched=np.arange(360) % 3 == 2)))
    assert status == "status bad"
    assert words.count("Nothing moved") == 2
    assert "new: 0 of 120 cells moved; 120 have no counterpart, of which 0 moved." in words


def test_a_page_says_of_each_batch_how_many_moved_and_how_many_have_no_counterpart(tmp_path):
    shown = cells(matched=np.arange(360) % 36 != 1)
    shown.after[1::72] = shown.before[1::72]
    _, words = told(page(tmp_path, merged(), shown))
    assert "new: 120 of 120 cells moved; 0 have no counterpart." in words
    assert "newer: 115 of 120 cells moved; 10 have no counterpart, of which 5 moved." in words
    assert "old: " not in words


def test_without_knowledge_of_counterparts_a_page_says_that_it_has_none(tmp_path):
    _, words = told(page(tmp_path, merged(), cells()))
    assert "Which cells have a counterpart is not known." in words
    assert "no counterpart" not in words


@pytest.mark.parametrize("batches", [3, 60])
def test_every_cloud_is_named_on_the_page_with_its_numbers(tmp_path, batches):
    found = merged([f"class {k}" for k in range(12)], [f"batch {k}" for k in range(batches)], kinetic=SPEED[-3:])
    shown = page(tmp_path, found, cells())
    rows = re.findall(r"<tr><td>(batch \d+)</td><td>(class \d+)</td><td>(\d+)</td></tr>", shown.source)
    asked = found["clouds"]
    assert rows == [(*cloud[:2], str(cloud[2])) for cloud in zip(*asked.values())]


def test_scores_of_any_name_and_column_are_shown(tmp_path):
    scores = {"before": {"ilisi": 0.25}, "after": {"ilisi": 0.5, "home made": 0.125}, "spread": {"home made": 0.0625}}
    shown = page(tmp_path, merged(scores=scores), cells())
    table = shown.source[shown.source.index("<h2>Scores") :]
    assert "<th>before</th><th>after</th><th>spread</th>" in table
    assert "ilisi</th><td>0.25</td><td>0.5</td><td></td>" in table
    assert "home made</th><td></td><td>0.125</td><td>0.0625</td><td></td>" in table


def test_names_of_batches_and_classes_are_shown_and_obeyed_nowhere(tmp_path):
    shown = cells()
    names = np.where(shown.batch == "new", EVIL, shown.batch)
    found = merged((EVIL,), (EVIL, "newer"), kinetic=np.r_[SPEED, 0.5])
    made = page(tmp_path, found, Embedding(shown.before, shown.after, names, names, "old", names != EVIL))
    assert EVIL in "".join(made.words)
    assert len(made.all("script")) == 1


def pictures(page):
    for tag in page.all("img"):
        yield Image.open(io.BytesIO(b64decode((tag["src"] or "").split(",")[1])))


def test_the_picture_of_classes_holds_a_colour_of_its_own_for_each_of_thirty(tmp_path):
    first, second, *_ = pictures(page(tmp_path, merged(), cells(classes=30)))
    for picture, most in ((first, 3), (second, 30)):
        pixels = np.asarray(picture.convert("RGBA")).reshape(-1, 4)
        seen, sizes = np.unique(pixels[pixels[:, 3] == 255][:, :3], axis=0, return_counts=True)
        vivid = np.ptp(seen.astype(int), axis=1) > 20
        inner = vivid & (sizes >= 60)  # the marks of the legend; edges of marks are blends of few pixels each
        assert inner.sum() >= most
        assert {tuple(int(LIGHT[0][k : k + 2], 16) for k in (1, 3, 5))} <= set(map(tuple, seen.tolist()))


def test_the_command_tells_its_page_who_has_no_counterpart(tmp_path):
    rng = np.random.default_rng(0)
    kinds, batch = np.r_[np.arange(200) % 2, np.zeros(100)], np.repeat(["new", "old"], (200, 100))
    x = rng.normal(size=(300, 3)) + (batch == "new")[:, None] + 30.0 * kinds[:, None] * (1, 0, 0)
    source, out, made = (tmp_path / name for name in ("in.npz", "out.npz", "page.html"))
    np.savez(source, x=x, batch=batch)
    with pytest.raises(SystemExit) as ended:
        main(["merge", *map(str, (source, "--batch", "batch", "--target", "old", "--steps", 3)),
              "--out", str(out), "--page", str(made)])  # fmt: skip
    assert ended.value.code == 0
    missing = int((~np.load(out)["gpa_matched"]).sum())
    assert missing > 50
    assert f"new: {200 - missing} of 200 cells moved; {missing} have no counterpart" in told(Page(made))[1]
