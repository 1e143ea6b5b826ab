"""A page loads nothing from outside and lets no run folder add an element to it."""

import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from report.runs import EVIL, FACTS, Page, clouds, make_run, measure, poisoned

from pushforward.report import write_report
from pushforward.report.skeleton import fill
from pushforward.report.values import HUES


@pytest.fixture(params=["toy:ring8", "digits", "several"])
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Page:
    if request.param == "several":
        return Page(write_report([make_run(tmp_path / "a"), make_run(tmp_path / "b", "digits")]))
    return Page(write_report([make_run(tmp_path / "run", request.param)]))


def test_a_page_loads_nothing_from_outside(page: Page):
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster", "style"):
            assert (attributes.get(name) or "data:image/png;base64,").startswith("data:image/png;base64,")
    assert not page.all("link")
    assert not page.all("iframe")
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttp|import\(", page.source)


def test_the_policy_of_a_page_admits_its_own_style_and_script_only(page: Page):
    (policy,) = (tag["content"] or "" for tag in page.all("meta", **{"http-equiv": "Content-Security-Policy"}))
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page.source, re.DOTALL)
        assert f"{tag}-src 'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" in policy


@pytest.mark.parametrize(
    ("status", "words"),
    [("stopped", "Stopped at step 80 of 200"), ("interrupted", "Interrupted at step 80 of 200"),
     ("failed", "Failed at step 80 of 200: step 81: critic is nan"), ("running", "Running, or ended without a word"),
     ("<b>odd", "Status unknown (<b>odd)"), (None, "Status unknown (none)"), (["x"], "Status unknown")],
    ids=str,
)  # fmt: skip
def test_every_status_is_said_in_plain_words(tmp_path: Path, status: object, words: str):
    run = make_run(tmp_path / "run", status=status, step=80, why="step 81: critic is nan")
    assert words in Page(write_report([run])).text


def test_a_run_that_ended_by_itself_says_so_and_why_beside_its_facts(tmp_path: Path):
    why = "the kinetic energy, 0.0004 over 20 steps, fell below 0.001"
    run, plain = make_run(tmp_path / "run", step=80, ended=why), make_run(tmp_path / "plain")
    page = Page(write_report([run]))
    assert f"Finished by itself at step 80 of 200: {why}." in page.text
    assert f"Ended by itself step 80 of 200 {why}" in page.text
    assert "All 200 steps" not in page.text
    assert "by itself" not in Page(write_report([plain])).text
    assert f"why it ended {why} –" in Page(write_report([run, plain])).text


def test_nothing_in_a_run_folder_can_add_an_element_to_its_page(tmp_path: Path):
    clean, dirty = make_run(tmp_path / "clean"), make_run(tmp_path / "a<script>alert(3)<")
    for name in ("run.json", "metrics.json"):
        (dirty / name).write_text(json.dumps(poisoned(json.loads((dirty / name).read_text()))))
    with (dirty / "log.jsonl").open("a") as log:
        log.write(json.dumps({"step": 3, EVIL: 1.0, "bound": EVIL}) + "\n")
    for folders in ([dirty], [dirty, clean]):
        page = Page(write_report(folders))
        assert EVIL in "".join(page.words)
        assert len(page.all("script")) == 1 + len(clouds(page))
        assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
        assert not page.all("img", src="x")


@pytest.mark.parametrize("odd", ["splendid", None, 3, {"a": 1}, EVIL, "bad"])
@pytest.mark.parametrize("key", ["grade", "reading"])
def test_a_grade_or_reading_that_is_none_is_judged_anew(tmp_path: Path, key: str, odd: object):
    run = make_run(tmp_path / "run")
    sound = measure(1.0, 1.0, se=0.1) | {"grade": "good", "reading": "in words of its own"}
    stored = {"metrics": {"w2": sound | {key: odd}, "sliced_w2": sound}}
    (run / "metrics.json").write_text(json.dumps(stored))
    for page in (Page(write_report([run])), Page(write_report([run, make_run(tmp_path / "b")]))):
        known = odd == "bad" or (key == "reading" and isinstance(odd, str))
        assert page.text.count("in words of its own") >= (2 if known and key == "grade" else 1)
        if not known:
            assert "at the floor" in page.text


def test_words_that_no_encoding_takes_do_not_stop_the_page(tmp_path: Path):
    run = make_run(tmp_path / "run", recipe="\ud800\x00", why="x" * 100_000)
    assert len(Page(write_report([run])).text) < 50_000


@pytest.mark.parametrize(("energy", "grade"), [(0.4, "fair"), (0.02, "good")])
def test_a_run_whose_samples_were_still_travelling_is_not_green(tmp_path: Path, energy: float, grade: str):
    run = make_run(tmp_path / "run", facts=FACTS | {"fastest": 1.0})
    (run / "log.jsonl").write_text("".join(f'{{"step": {k}, "kinetic": {energy}}}\n' for k in (1, 2)))
    page = Page(write_report([run]))
    assert page.all("p", **{"class": f"status {grade}"})
    assert ("still travelling: kinetic energy 0.4, at most 0.5" in page.text) == (grade == "fair")


def test_pages_of_runs_show_the_stored_verdict_and_use_no_rule_of_their_own(tmp_path: Path):
    honest = {"copying": measure(-20.0, 0.0, p=6.6e-148, better="none", protocol={"hypothesis": "does not copy"})}
    judged = honest | {"w2": measure(1.0, 1.0) | {"grade": "doubtful", "reading": "in words of its own"}}
    runs = [make_run(tmp_path / name) for name in "ab"]
    for run in runs:
        stored = {
            "verdict": "Too few samples to say.",
            "grade": "doubtful",
            "warnings": ["give more"],
            "metrics": judged,
        }
        (run / "metrics.json").write_text(json.dumps(stored))
    for page in (Page(write_report(runs[:1])), Page(write_report(runs))):
        assert page.all("p", **{"class": "status fair"})
        for words in ("Too few samples to say.", "give more", "in words of its own", "yet no copies found"):
            assert words in page.text
        assert not page.all("span", **{"class": "mark bad"})


def test_there_are_as_many_colours_as_the_style_sheet_names():
    style = fill("", "").split("<style>")[1].split("</style>")[0]
    assert style.count("--run: #") == 2 * HUES  # light and dark
    assert all(f".r{k} {{ --run" in style for k in range(HUES))
    assert HUES >= 10
