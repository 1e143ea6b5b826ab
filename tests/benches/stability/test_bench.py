"""The whole bench from the command line: resumed, refused before any work, and summed up as it stands."""

import json
import math
import time

import pytest

from pushforward.benches import kept
from pushforward.benches.stability import bench, tables
from pushforward.benches.stability.arms import trials
from pushforward.benches.stability.outcome import Outcome
from pushforward.benches.stability.scores import NAMES
from pushforward.benches.stability.summary import by_arm, by_factor, reference
from pushforward.benches.statistics import Mean, Share
from pushforward.errors import UsageError
from pushforward.settings.benches import Stability
from tests.guests.commands import call

TINY = ["bench", "stability", "--data", "toy:ring8", "--moves", "1", "2", "--divergences", "KL", "--gans", "LOGD",
        "--rates", "1e-3", "--widths", "8", "--critic-steps", "1", "--seeds", "1", "--marks", "2", "--samples",
        "320"]  # fmt: skip
QUICK = [*TINY, "--seconds", "0.1", "--drift", "none", "--workers", "1"]


def canned(one):
    """A run that costs nothing."""
    marks = {name: [0.5] * one.marks * one.legs for name in NAMES}
    numbers = {"laid": [10], "done": 10, "cpu": one.seconds, "cpu_rehearsal": 0.0, "cpu_all": one.seconds}
    return {"key": one.key, "settings": one.settings(), "failed": "", "marks": marks} | numbers


def test_a_second_call_does_what_is_not_there_and_nothing_else(tmp_path, capsys, monkeypatch):
    folder, done = tmp_path / "bench", []
    monkeypatch.setattr(bench, "performed", lambda one: (done.append(one.arm), canned(one))[1])
    code, out, err = call(capsys, *QUICK, "--out", folder, "--json")
    assert code == 0, err
    first, lines = json.loads(out), (folder / kept.RUNS).read_text().splitlines()
    assert (len(done), len(lines), first["runs"], first["missing"]) == (3, 3, 3, 0)
    assert "3 runs of 0.1 s: about" in err
    code, out, err = call(capsys, *QUICK, "--out", folder, "--json")
    assert json.loads(out) == first
    assert (len(done), err) == (3, "")
    (folder / kept.RUNS).write_text("".join(f"{line}\n" for line in lines[1:]))
    page = (folder / "stability.md").read_text()
    code, out, err = call(capsys, *QUICK, "--out", folder, "--report", "--json")
    assert (len(done), json.loads(out)["missing"], json.loads(out)["markdown"]) == (3, 1, None)
    assert (folder / "stability.md").read_text() == page
    code, out, err = call(capsys, *QUICK, "--out", folder, "--report", "--markdown", tmp_path / "part.md")
    assert f"tables: {tmp_path / 'part.md'}" in out
    assert "picture" not in out
    code, out, err = call(capsys, *QUICK, "--out", folder, "--report", "--seconds", "0.2")
    assert (code, out) == (2, "")
    assert "holds none of these runs, but 2 of other settings" in err
    code, out, err = call(capsys, *QUICK, "--out", folder)
    assert done[3:] == ["VGrow KL, 1 move"]
    assert "1 run of 0.1 s, 2 there already" in err
    assert "GAN LOGD" in out
    assert sorted((folder / kept.RUNS).read_text().splitlines())[1] in lines
    assert (folder / "stability.png").read_bytes()[:4] == b"\x89PNG"


def test_ctrl_c_loses_the_run_at_work_alone(tmp_path, capsys, monkeypatch):
    performed = bench.performed

    def stopped(one):
        if one.family == "gan":
            raise KeyboardInterrupt
        return performed(one)

    monkeypatch.setattr(bench, "performed", stopped)
    enough = [*TINY, "--seconds", "0.6", "--drift", "none", "--workers", "1"]  # on a busy machine too
    code, out, err = call(capsys, *enough, "--out", tmp_path / "bench")
    assert (code, out) == (130, ""), err
    assert f"2 of 3 runs are kept in {tmp_path / 'bench'}" in err
    assert len((tmp_path / "bench" / kept.RUNS).read_text().splitlines()) == 2
    assert not (tmp_path / "bench" / "run.lock").exists()


@pytest.mark.slow
def test_two_workers_do_what_one_does_and_runs_go_on(tmp_path, capsys):
    code, out, err = call(capsys, *TINY, "--seconds", "0.3", "--out", tmp_path, "--workers", "2", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [row["name"] for row in found["arms"]] == ["VGrow KL, 1 move", "VGrow KL, 2 moves", "GAN LOGD"]
    assert all(row["drift_modes"]["n"] == 1 for row in found["arms"])
    for line in (tmp_path / kept.RUNS).read_text().splitlines():
        run = json.loads(line)
        assert len(run["marks"]["modes"]) == 6
        assert 0.8 < run["cpu"] / 0.3 < 1.2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--moves", "0"], "--moves"),
        (["--moves", "5", "5"], "--moves: 5 stands there twice"),
        (["--rates", "-1"], "--rates"),
        (["--rates"], "--rates: name at least one"),
        (["--moves", "--gans"], "nothing to run"),
        (["--divergences", "KLL"], "KLL"),
        (["--divergences", "TV"], "zero almost everywhere"),
        (["--drift-seeds", "2"], "--drift-seeds 2: there are 1"),
        (["--workers", "4000"], "--workers 4000: there are"),
        (["--seconds", "nan"], "--seconds"),
        (["--floor", "0"], "--floor 0"),
        (["--picture", "x.txt"], "--picture x.txt"),
        (["--markdown", "x.txt"], "--markdown x.txt"),
        (["--out", ""], "--out ''"),
        (["--report"], "holds none of these runs yet; give the command without it"),
        (["--samples", "319"], "--samples 319: toy:ring8 has 8 modes"),
    ],
    ids=str,
)
def test_wrong_options_are_refused_in_a_line_before_any_work(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *TINY, *words)
    assert (code, out) == (2, ""), err
    assert said in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_lies_around_the_marks_of_a_page_stays_and_a_page_without_them_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# Above\n\n{tables.BEGIN}\nold\n{tables.END}\n\nbelow\n")
    for text in ("| new |\n", "| newer |\n"):
        tables.placed(page, text)
        assert page.read_text() == f"# Above\n\n{tables.BEGIN}\n{text}{tables.END}\n\nbelow\n"
    page.write_text("# Mine\n")
    with pytest.raises(UsageError, match="has no line"):
        tables.check(page)
    assert page.read_text() == "# Mine\n"
    tables.placed(tmp_path / "new.md", "| new |\n")
    tables.placed(tmp_path / "new.md", "| newer |\n")
    assert "newer" in (tmp_path / "new.md").read_text()


# ---- Sums


def ended(whole: bool, quality: float = 0.5) -> Outcome:
    return Outcome(whole, 8 * whole, quality, 0.1, None, None, 0.0, 0.0, None, None, None, None, False)


def test_an_arm_is_pooled_over_all_and_held_against_its_rival_at_the_same_place():
    every = trials(Stability(moves=(1,), divergences=("KL",), seeds=2))
    good = {one.key: k % 3 == 0 or one.family == "vgrow" for k, one in enumerate(every)}
    found = [(one, ended(good[one.key])) for one in every]
    assert reference(found) == "GAN LOGD"
    rows = {row.name: row for row in by_arm(found)}
    assert all(row.runs == 16 for row in rows.values())
    assert rows["VGrow KL, 1 move"].whole == Share(16, 16)
    plain = rows["GAN LOGD"].whole
    ahead = rows["VGrow KL, 1 move"].means["ahead"]
    assert (ahead.n, rows["GAN LOGD"].means["ahead"].n) == (16, 0)
    assert ahead.value == pytest.approx(1 - plain.value)
    assert ahead.se == pytest.approx(math.sqrt(plain.value * (1 - plain.value) / 15))


def test_the_values_of_each_factor_share_out_the_runs_of_a_family():
    found = [(one, ended(True)) for one in trials(Stability(seeds=1))]
    rows = by_factor(found)
    for family, names in (("vgrow", 5), ("gan", 4)):
        own = [row for row in rows if row.family == family]
        total = sum(one.family == family for one, _ in found)
        factors = dict.fromkeys(row.name.rpartition(" ")[0] for row in own)
        assert len(factors) == names
        for factor in factors:
            assert sum(row.runs for row in own if row.name.rpartition(" ")[0] == factor) == total


def test_numbers_are_told_with_their_errors():
    assert tables.words_of(Share(3, 12)) == "0.25 ± 0.12"
    assert tables.words_of(Share(0, 12)) == "0 (0.00 to 0.24)"
    assert tables.words_of(Share(12, 12)) == "1 (0.76 to 1.00)"
    assert tables.words_of(Mean(0.12345, 0.01, 5)) == "0.123 ± 0.010"
    assert tables.words_of(Mean(math.nan, None, 0)) == ""


def test_what_it_will_cost_is_what_it_costs(tmp_path, capsys):
    one = trials(Stability(moves=(1,), divergences=("KL",), gans=(), widths=(8,), seconds=1.0, data="toy:ring8"))[-1]
    bench.wired(one, 1)  # imports and the first of everything
    begun = time.process_time()
    bench.performed(one)
    assert time.process_time() - begun == pytest.approx(bench.cost(one), rel=0.5)
