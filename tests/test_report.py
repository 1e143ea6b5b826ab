"""The page of a run loads nothing, trusts nothing, shows everything, and survives whatever is missing."""

import json
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pushforward.data import toy
from pushforward.data.source import load
from pushforward.errors import DataError, UsageError
from pushforward.pictures import read_clouds, write_samples
from pushforward.report import METRICS, TERMS, write_report

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
VOID = {"meta", "img", "input", "link", "br", "hr"}


class Page(HTMLParser):
    """Elements, attributes and text of a page, with a check that tags close in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text("utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(self.source)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.tags if name == tag and attributes.items() <= found.items()]


def measure(value: float | None, floor: float | None, **more: Any) -> dict[str, Any]:
    record = {"value": value, "floor": floor, "se": None, "n_fake": 2000, "n_real": 500, "features": "raw"}
    return record | {"better": "lower", "protocol": {"split": "test", "seed": 0}} | more


def make_run(folder: Path, data: str = "toy:ring8", seed: int = 0, **changes: Any) -> Path:
    """A run folder as training leaves it, with a short log and three looks at samples."""
    folder.mkdir(parents=True)
    images = data == "digits"
    source = load(data) if images else toy.load("ring8", n_train=2000, n_test=400)
    info = {
        "format": 1, "recipe": "vgrow", "arguments": {"step": 0.5, "divergence": "KL", "width": 64}, "seed": seed,
        "steps": 200, "step": 200, "status": "finished", "seconds": 93.25, "best": {"step": 100, "score": 0.25},
        "data": {"name": data, "kind": source.kind, "event": list(source.event), "n_train": len(source.train),
                 "n_test": len(source.test), "seed": 0, "test_fraction": 0.1, "sha256": source.split.sha256},
        "device": "cpu", "precision": "float32", "threads": 2, "world": 1, "created": "2026-01-02T03:04:05",
        "versions": {"pushforward": "0.1.0", "python": "3.11.0", "torch": "2.13.0", "numpy": "2.1.0"},
        "command": f"pushforward train vgrow --data {data} --seed {seed}",
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(info | changes))
    terms = [term for term in TERMS if not term.startswith("monitor")]
    lines = [{"step": k, "seconds": k / 3} | dict.fromkeys(terms, 1 / k) for k in range(1, 201, 10)]
    lines += [{"step": k, "score": 30 / k} for k in (100, 200)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    metrics = {"w2": measure(0.6 + seed / 10, 0.5, se=0.01), "mmd": measure(0.001, 0.0, p=0.25),
               "high_quality": measure(0.9, 0.98, better="higher", n_real=0)}  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps({"metrics": metrics, "checkpoint": "last", "step": 200}))
    rng = torch.Generator().manual_seed(seed)
    for step in (0, 100, 200):
        x = torch.randn(100, *source.event, generator=rng) / (1 + step / 100)
        write_samples(folder / "samples", step, x, source)
    return folder


def clouds(page: Page) -> list[dict[str, Any]]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page.source)]


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


def test_a_page_says_what_was_run_and_how_it_went(tmp_path: Path):
    text = Page(write_report([make_run(tmp_path / "run")])).text
    for words in ("vgrow on toy:ring8", "Finished. All 200 steps were done.", "1 min 33 s", "step 100", "score 0.25",
                  "pushforward train vgrow --data toy:ring8 --seed 0", "divergence KL", "torch 2.13.0", "threads 2",
                  "device cpu", "precision float32", "training samples 2,000", "the last checkpoint, step 200",
                  ):  # fmt: skip
        assert words in text


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


def test_every_metric_appears_with_its_floor_and_a_reading(tmp_path: Path):
    run = make_run(tmp_path / "run")
    metrics = {name: measure(1.234, 1.0) for name in METRICS} | {"mine@abc": measure(7.5, None, better="none")}
    metrics |= {"broken": measure(None, 2.0), "far": measure(0.0125, 0.0, p=0.004)}
    metrics |= {"share": measure(0.49, 0.98, better="higher"), "close": measure(1.04, 1.0, se=0.03)}
    (run / "metrics.json").write_text(json.dumps({"metrics": metrics}))
    text = Page(write_report([run])).text
    for name in metrics:
        assert name in text
    for words in ("1.234", "1.2 × the floor", "for the record", "not finite", "told apart from data (p 0.004)",
                  "50 % of the floor", "at the floor"):  # fmt: skip
        assert words in text


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


def test_the_loss_of_a_dual_critic_is_not_read_as_a_logistic_one(tmp_path: Path):
    text = Page(write_report([make_run(tmp_path / "run", arguments={"divergence": "W1"})])).text
    assert "not the logistic one" in text
    assert TERMS["bound"].reading not in text


def test_frames_are_read_back_to_the_samples(tmp_path: Path):
    run = make_run(tmp_path / "run")
    film, (samples, data) = read_clouds(run / "samples"), clouds(Page(write_report([run])))
    low, high = np.array(samples["low"]), np.array(samples["high"])
    unit = 2 * (high - low) / 32767
    assert samples["steps"] == film.steps == [0, 100, 200]
    assert film.data is not None
    for text, frame in zip([*samples["frames"], data["data"]], [*film.frames, film.data], strict=True):
        levels = np.frombuffer(b64decode(text), "<i2").reshape(-1, 2)
        assert (np.abs((low + high) / 2 + levels * unit - frame) <= 0.5001 * unit).all()


def test_images_are_shown_as_they_were_written_and_the_last_one_without_a_script(tmp_path: Path):
    run = make_run(tmp_path / "run", "digits")
    pictures = Page(write_report([run])).all("img")
    names = ["step-000000", "step-000100", "step-000200", "data"]
    for picture, name in zip(pictures, names, strict=True):
        assert b64decode((picture["src"] or "").split(",")[1]) == (run / "samples" / f"{name}.png").read_bytes()
        assert ("hidden" in picture) == (name in names[:2])


def poisoned(value: Any) -> Any:
    """The same record with every string and key turned into an attack."""
    if isinstance(value, dict):
        return {key: poisoned(inner) for key, inner in value.items()} | {EVIL: EVIL}
    return [EVIL] if isinstance(value, list) else EVIL


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


def test_words_that_no_encoding_takes_do_not_stop_the_page(tmp_path: Path):
    run = make_run(tmp_path / "run", recipe="\ud800\x00", why="x" * 100_000)
    assert len(Page(write_report([run])).text) < 50_000


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


@pytest.mark.parametrize("content", ["{", "[]", "null", '"words"', '{"recipe": "x"}', "[" * 100_000, "\xff"])
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


def test_runs_of_one_name_get_labels_that_tell_them_apart(tmp_path: Path):
    text = Page(
        write_report([make_run(tmp_path / "a" / "run"), make_run(tmp_path / "b" / "run")], tmp_path / "x.html")
    ).text
    assert "a/run" in text
    assert "b/run" in text


def test_a_page_is_written_where_it_is_wanted_and_leaves_nothing_else(tmp_path: Path):
    run = make_run(tmp_path / "run")
    assert write_report([run]) == run / "report.html"
    assert write_report([run], tmp_path / "new" / "page.html") == tmp_path / "new" / "page.html"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]
