"""The command line: what it answers, with which exit code, and that bad input never starts a run."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward import __version__, cli, options
from tests.guests.commands import call

_spec = importlib.util.spec_from_file_location("bad_inputs", Path(__file__).parent / "data" / "test_bad_inputs.py")
assert _spec is not None
assert _spec.loader is not None
bad_inputs = importlib.util.module_from_spec(_spec)
sys.modules["bad_inputs"] = bad_inputs
_spec.loader.exec_module(bad_inputs)

FEW = ["--limit", "400"]  # rows: what is measured at the end costs more than so short a training
POINTS = ["train", "toy_vgrow", "--data", "toy:mixture2", *FEW, "--steps", "20", "--batch", "16", "--width", "8"]
LABELLED = [*POINTS, "--conditional"]
PARTICLES = ["train", "toy_particles", *FEW, "--steps", "6", "--particles", "50", "--batch", "50", "--width", "8"]
DIGITS = ["train", "vgrow_digits", "--steps", "4", "--batch", "16", "--width", "8"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Small runs of several kinds, made once."""
    base = tmp_path_factory.mktemp("runs")
    for name, words in {"points": POINTS, "labelled": LABELLED, "particles": PARTICLES, "digits": DIGITS}.items():
        with pytest.raises(SystemExit) as stop:
            cli.main([*words, "--run", str(base / name)])
        assert not stop.value.code
    return base


@pytest.mark.parametrize("case", bad_inputs.CASES, ids=lambda case: case.name)
def test_bad_data_ends_before_training_with_its_code_and_one_line(case, tmp_path, capsys):
    arguments = case.build(tmp_path)
    code, out, err = call(capsys, "train", "vgrow_images", "--run", tmp_path / "run", *arguments)
    assert code == case.exit_code
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for fragment in case.fragments:
        assert re.search(fragment, err), (fragment, err)
    assert not (tmp_path / "run").exists()


MERGE = ["merge", "nowhere.csv", "--batch", "b", "--target", "a", "--out", "x.csv"]

WRONG_USE = [
    (["train", "toy_vgro"], 2, "did you mean toy_vgrow"),
    (["train", "toy_vgrow", "--stepz", "3"], 2, "--steps"),
    (["train", "toy_vgrow", "--steps", "many"], 2, "steps"),
    (["train", "toy_vgrow", "--steps", "0"], 2, "--steps 0"),
    (["train", "toy_vgrow", "--rate", "-1"], 2, "--rate -1"),
    (["train", "toy_vgrow", "--divergence", "KLL"], 2, "KLL.*REVERSE_KL"),
    (["train", "toy_vgrow", "--divergence", "TV"], 2, "zero almost everywhere.*JS or HELLINGER"),
    (["train", "toy_vgrow", "--divergence", "nowhere.at.all:X"], 2, "nowhere"),
    (["train", "toy_vgrow", "--divergence", "math:pi"], 2, "float"),
    (["train", "toy_vgrow", "--divergence", "alpha(x)"], 2, "number"),
    (["train", "toy_vgrow", "--data", "toy:moon"], 2, "moons"),
    (["train", "toy_vgrow", "--data", "toy:moons", "--conditional"], 2, "no labels"),
    (["train", "toy_vgrow", "--device", "tpu9"], 2, "tpu9"),
    (["train", "vgrow_images", "--data", "toy:moons"], 2, "points.*toy_vgrow"),
    (["train", "vgrow_images", "--side", "12"], 2, "power of two"),
    (["evaluate"], 2, "--fake A"),
    (["evaluate", "--fake", "a.npz"], 2, "--fake A"),
    (["evaluate", "--fake", "a.npz", "--real", "b.npz", "--device", "cuda"], 2, "--device cuda.*folder of a run"),
    (["evaluate", "--fake", "a.npz", "--real", "b.npz", "--checkpoint", "best"], 2, "--checkpoint best.*of a run"),
    (["evaluate", "nowhere", "-n", "1"], 2, "-n 1"),
    ([*MERGE, "--steps", "0"], 2, "--steps 0"),
    ([*MERGE, "--seed", "-1"], 2, "--seed -1"),
    ([*MERGE, "--n-boot", "-2"], 2, "--n-boot -2"),
    ([*MERGE, "--n-boot", "1"], 2, "--n-boot 1.*2 refits"),
    ([*MERGE, "--lipschitz", "0"], 2, "--lipschitz 0"),
    (["sample", "nowhere", "--out", "x.npz"], 3, "no such run"),
    (["sample", "nowhere", "--out", "x.doc"], 2, "npz"),
    (["sample", "nowhere", "--out", "x.npz", "-n", "0"], 2, "--n 0: give a number between 1 and"),
    (["sample", "nowhere", "--out", "x.npz", "--seed", "-1"], 2, "--seed -1: give a number between 0 and"),
    (["train", "toy_vgrow", "--run", ""], 2, "--run '': name the folder"),
    (["train", "toy_vgrow", "--run="], 2, "--run '': name the folder"),
    (["demo", "--run", ""], 2, "--run '': name the folder"),
    (["report", "nowhere"], 3, "run.json"),
    (["conquer"], 2, "conquer: no such command; there are demo"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "said"), WRONG_USE, ids=lambda value: str(value)[:60])
def test_wrong_use_is_answered_with_its_code_and_a_remedy(words, code, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, _, err = call(capsys, *words)
    assert found == code, err
    assert re.search(said, err), err
    assert not list(tmp_path.glob("runs/*"))


def test_help_answers_in_half_a_second_without_torch():
    code = (
        "import sys, time; t = time.process_time()\n"
        "from pushforward.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
        "assert time.process_time() - t < 0.5, time.process_time() - t"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "pushforward demo" in done.stdout
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("command", ["evaluate", "merge"])
def test_a_command_has_its_options_in_one_box(command, capsys):
    _, out, _ = call(capsys, command, "--help")
    assert re.findall(r"[\w ]*options(?= \W*$)", out, re.MULTILINE) == [" options"], out


def test_version_and_recipes_and_doctor(capsys):
    assert call(capsys, "--version")[:2] == (0, f"pushforward {__version__}\n")
    listed = json.loads(call(capsys, "recipes", "--json")[1])
    assert listed["toy_vgrow"]["data"] == "toy:ring8"
    facts = json.loads(call(capsys, "doctor", "--json")[1])
    assert facts["versions"]["torch"] == torch.__version__
    assert call(capsys, "doctor")[0] == 0


def test_a_run_folder_holds_what_others_script_against(runs):
    for name in ("points", "labelled", "particles", "digits"):
        run = runs / name
        for part in (
            "run.json",
            "log.jsonl",
            "metrics.json",
            "report.html",
            "samples",
            "checkpoints/last",
            "checkpoints/best",
        ):
            assert (run / part).exists(), (name, part)
        for kind in ("last", "best"):
            files = sorted(path.name for path in (run / "checkpoints" / kind).iterdir())
            assert files == ["resume.pt", "weights.safetensors"]
        described = json.loads((run / "run.json").read_text())
        assert described["status"] == "finished"
        assert described["step"] == described["steps"]
        metrics = json.loads((run / "metrics.json").read_text())["metrics"]
        for measure in metrics.values():
            assert {"value", "floor", "n_fake", "n_real", "features"} <= set(measure)
            assert "se" in measure or "p" in measure


def test_samples_are_repeatable_in_data_units_and_carry_labels(runs, tmp_path, capsys):
    for name in ("a", "b"):
        assert (
            call(capsys, "sample", runs / "labelled", "-n", 30, "--seed", 5, "--out", tmp_path / f"{name}.npz")[0] == 0
        )
    a, b = (np.load(tmp_path / f"{name}.npz") for name in "ab")
    assert a["x"].shape == (30, 2)
    assert np.array_equal(a["x"], b["x"])
    assert set(a["labels"]) <= {0, 1}
    call(capsys, "sample", runs / "labelled", "-n", 6, "--labels", "1", "--out", tmp_path / "one.npz")
    assert np.array_equal(np.load(tmp_path / "one.npz")["labels"], np.ones(6))
    call(capsys, "sample", runs / "points", "-n", 7, "--out", tmp_path / "plain.npz")
    assert np.load(tmp_path / "plain.npz").files == ["x"]
    assert call(capsys, "sample", runs / "points", "--labels", "1", "--out", tmp_path / "no.npz")[0] == 2
    assert call(capsys, "sample", runs / "labelled", "--labels", "7", "--out", tmp_path / "no.npz")[0] == 2
    assert call(capsys, "sample", runs / "points", "--out", tmp_path / "folder")[0] == 2


def test_images_come_as_png_files_or_as_an_array(runs, tmp_path, capsys):
    from PIL import Image

    assert call(capsys, "sample", runs / "digits", "-n", 3, "--seed", 1, "--out", tmp_path / "pictures")[0] == 0
    assert call(capsys, "sample", runs / "digits", "-n", 3, "--seed", 1, "--out", tmp_path / "x.npz")[0] == 0
    x = np.load(tmp_path / "x.npz")["x"]
    files = sorted((tmp_path / "pictures").glob("*.png"))
    assert len(files) == 3
    assert x.shape == (3, 8, 8)
    assert x.dtype == np.uint8
    assert np.array_equal(np.stack([np.asarray(Image.open(file)) for file in files]), x)


def test_transport_carries_new_points_and_only_where_fields_were_recorded(runs, tmp_path, capsys):
    np.save(tmp_path / "in.npy", np.random.default_rng(0).normal(size=(12, 2)))
    code, out, _ = call(
        capsys, "transport", runs / "particles", tmp_path / "in.npy", "--out", tmp_path / "o.npz", "--json"
    )
    assert code == 0
    assert json.loads(out)["n"] == 12
    moved = np.load(tmp_path / "o.npz")
    assert np.allclose(moved["start"], np.load(tmp_path / "in.npy"))
    assert not np.allclose(moved["x"], moved["start"], atol=1e-3)
    assert call(capsys, "transport", runs / "points", tmp_path / "in.npy", "--out", tmp_path / "o.npz")[0] == 2
    np.save(tmp_path / "wide.npy", np.random.default_rng(0).normal(size=(12, 3)))
    assert call(capsys, "transport", runs / "particles", tmp_path / "wide.npy", "--out", tmp_path / "o.npz")[0] == 3


def test_transport_of_a_run_that_recorded_nothing_says_which_option_records(tmp_path, capsys):
    data = ["--data", table(tmp_path / "d.csv")]
    small = [*data, "--steps", "2", "--particles", "40", "--batch", "40", "--width", "8", "--warmup", "1"]
    for record, code in ((0, 2), (1, 0)):
        run = tmp_path / str(record)
        assert call(capsys, "train", "toy_particles", *small, "--record", record, "--run", run)[0] == 0
        np.save(tmp_path / "in.npy", np.random.default_rng(0).normal(size=(12, 2)))
        found, _, err = call(capsys, "transport", run, tmp_path / "in.npy", "--out", tmp_path / "o.npz")
        assert found == code, err
        assert ("--record 1" in err) == (code == 2)
        assert "record=True" not in err


def test_weights_of_an_earlier_version_that_do_not_fit_say_so_and_those_of_this_one_too(runs, tmp_path, capsys):
    from pushforward.training import checkpoint

    for kind, earlier in (({}, True), ({"format": 1}, True), ({"format": 2}, False)):
        run = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        shutil.copytree(runs / "particles", run)
        last = run / "checkpoints" / "last"
        saved = checkpoint.load(last)
        described = {key: value for key, value in saved.run.items() if key != "format"} | kind
        lacking = {name: value for name, value in saved.weights.items() if name != "accounts.path"}
        assert len(lacking) == len(saved.weights) - 1
        checkpoint.save(last, saved.weights, saved.resume or {}, described)
        assert call(capsys, "sample", run, "-n", 2, "--out", tmp_path / "x.npz")[0] == 0  # opens where it can
        checkpoint.save(last, lacking, saved.resume or {}, described)
        resume = ["train", described["recipe"], "--run", run, "--resume"]
        for words in (["sample", run, "-n", 2, "--out", tmp_path / "x.npz"], resume):
            code, _, err = call(capsys, *words)
            assert code == 3
            assert err.count("\n") == 1
            assert ("made by an earlier version of pushforward (run.json format 1)" in err) == earlier
            assert "accounts.path" in err
            assert "train again" in err


def test_a_remedy_for_a_damaged_checkpoint_is_an_option_of_the_command(runs, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(runs / "particles", run)
    recipe = json.loads((run / "run.json").read_text())["recipe"]
    for name, others in (("resume.pt", False), ("weights.safetensors", True)):
        path = run / "checkpoints" / "last" / name
        path.write_bytes(path.read_bytes()[:-9])
        code, _, err = call(capsys, "train", recipe, "--run", run, "--resume")
        assert code == 3
        assert f"{name}: damaged" in err
        assert "--checkpoint" not in err
        assert "start a new run" in err
        code, _, err = call(capsys, "sample", run, "-n", 2, "--out", tmp_path / "x.npz")
        assert code == (3 if others else 0)  # what resumes a run is no part of what samples it
        assert ("--checkpoint best" in err) == others


def test_evaluate_prints_one_object_for_runs_and_for_files(runs, tmp_path, capsys):
    code, out, _ = call(capsys, "evaluate", runs / "points", "-n", 200, "--json")
    assert code == 0
    assert json.loads(out)["metrics"]["sliced_w2"]["n_fake"] == 200
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(ord(name)).normal(size=(100, 3)))
    code, out, _ = call(capsys, "evaluate", "--fake", tmp_path / "a.npy", "--real", tmp_path / "b.npy", "--json")
    assert code == 0
    assert json.loads(out)["metrics"]["mmd"]["p"] > 0.01
    np.save(tmp_path / "c.npy", np.random.default_rng(0).normal(size=(100, 2)))
    code, _, err = call(capsys, "evaluate", "--fake", tmp_path / "a.npy", "--real", tmp_path / "c.npy")
    assert code == 3
    assert "only like" in err


def test_a_run_is_neither_overwritten_nor_continued_as_something_else(runs, capsys):
    code, _, err = call(capsys, *POINTS, "--run", runs / "points")
    assert code == 2
    assert "--resume" in err
    code, _, err = call(capsys, *POINTS, "--run", runs / "points", "--resume", "--batch", "32")
    assert code == 2
    assert "--batch 32" in err
    assert call(capsys, "train", "toy_gan", "--run", runs / "points", "--resume")[0] == 2


def test_resume_needs_no_option_repeated_and_a_finished_run_stays_finished(runs, capsys):
    code, out, _ = call(capsys, "train", "toy_vgrow", "--run", runs / "points", "--resume", "--json")
    assert code == 0
    assert json.loads(out)["step"] == 20


@pytest.mark.parametrize(("said", "holds"), [((), True), (("--conditional",), True), (("--no-conditional",), False)])
def test_a_switch_of_a_run_that_is_continued_holds_or_is_turned(runs, said, holds):
    words = ["--resume", "--run", str(runs / "labelled"), *said]
    assert options.read(["toy_vgrow", *words], "").arguments["conditional"] is holds
    assert options.read(["toy_gan", *words], "").arguments["conditional"] is ("--conditional" in said)


def test_a_guests_switch_that_may_be_none_is_said_with_its_value(tmp_path, monkeypatch):
    (tmp_path / "undecided.py").write_text("def made(*, fancy: bool | None = True, fast: bool = False): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    words = ["undecided:made", "--trust", "undecided:made"]
    assert options.read([*words, "--fancy", "None", "--fast"], "").arguments == {"fancy": None, "fast": True}
    assert options.read([*words, "--no-fast"], "").arguments == {"fancy": True, "fast": False}


def test_several_runs_share_a_page(runs, tmp_path, capsys):
    code, out, _ = call(capsys, "report", runs / "points", runs / "labelled", "--out", tmp_path / "c.html", "--json")
    assert code == 0
    assert Path(json.loads(out)["report"]).read_text().count("toy_vgrow") >= 2


def test_a_divergence_of_the_users_own_trains_but_a_run_folder_never_imports_it(tmp_path, capsys, monkeypatch):
    (tmp_path / "mine_for_the_test.py").write_text(
        "import torch\nfrom pushforward.divergences import Divergence\n"
        "MINE = Divergence('mine', variation=lambda d: -d, log_weight=torch.zeros_like)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    name, run = "mine_for_the_test:MINE", tmp_path / "run"
    assert call(capsys, *SMALL, "--data", table(tmp_path / "d.csv"), "--divergence", name, "--run", run)[0] == 0
    sys.modules.pop("mine_for_the_test")
    code, _, err = call(capsys, "sample", run, "-n", 3, "--out", tmp_path / "x.npz")
    assert code == 2
    assert f"--trust {name}" in err
    assert "mine_for_the_test" not in sys.modules
    assert call(capsys, "sample", run, "-n", 3, "--out", tmp_path / "x.npz", "--trust", name)[0] == 0


def test_a_loss_that_is_not_finite_names_step_term_remedy_and_the_last_good_checkpoint(tmp_path, capsys):
    run = tmp_path / "run"
    code, _, err = call(capsys, *POINTS, "--rate", "1e30", "--run", run)
    assert code == 1
    assert re.search(r"step \d+: \w+ is (nan|inf|-inf); .*checkpoints/last", err), err
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    from pushforward.training import checkpoint

    assert checkpoint.load(run / "checkpoints" / "last").run["step"] < 20


def test_minutes_stop_a_run_with_a_checkpoint(tmp_path, capsys):
    few = table(tmp_path / "d.csv")
    words = ["--steps", "100000", "--minutes", "0.002", "--json"]
    code, out, err = call(capsys, "train", "toy_vgrow", "--data", few, *words, "--run", tmp_path / "run")
    assert code == 0
    summary = json.loads(out)
    assert summary["status"] == "stopped"
    assert 0 < summary["step"] < 100_000
    assert "--resume" in err


def table(path: Path, scale: float = 1.0, seed: int = 0) -> Path:
    x = scale * np.random.default_rng(seed).normal(size=(60, 2))
    path.write_text("a,b\n" + "\n".join(f"{u:.6f},{v:.6f}" for u, v in x) + "\n")
    return path


SMALL = ["train", "toy_vgrow", "--steps", "8", "--batch", "16", "--width", "8"]


def test_changed_data_are_noticed_when_a_run_is_measured_or_continued_and_samples_stay(tmp_path, capsys):
    data, run = table(tmp_path / "d.csv"), tmp_path / "run"
    assert call(capsys, *SMALL, "--data", data, "--run", run)[0] == 0
    assert call(capsys, "sample", run, "-n", 4, "--out", tmp_path / "x.npz")[0] == 0
    before = np.load(tmp_path / "x.npz")["x"]
    table(data, scale=1000.0)
    for said in ("data changed", "no such file"):
        for words in (["evaluate", run], ["train", "toy_vgrow", "--run", run, "--resume"]):
            code, _, err = call(capsys, *words)
            assert code == 3
            assert said in err
        assert call(capsys, "sample", run, "-n", 4, "--out", tmp_path / "y.npz")[0] == 0
        assert np.array_equal(np.load(tmp_path / "y.npz")["x"], before)
        data.unlink(missing_ok=True)


def test_files_named_from_one_folder_are_found_from_another(tmp_path, capsys, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    table(here / "d.csv")
    rows = len((here / "d.csv").read_text().splitlines()) - 1
    np.save(here / "classes.npy", np.arange(rows) % 2)
    monkeypatch.chdir(here)
    words = ["--data", "d.csv", "--labels", "classes.npy", "--conditional", "--run", tmp_path / "run"]
    assert call(capsys, *SMALL, *words)[0] == 0
    monkeypatch.chdir(there)
    code, _, err = call(capsys, "sample", tmp_path / "run", "-n", 4, "--labels", "1", "--out", tmp_path / "x.npz")
    assert code == 0, err
    assert set(np.load(tmp_path / "x.npz")["labels"]) == {1}
    assert call(capsys, "train", "toy_vgrow", "--run", tmp_path / "run", "--resume")[0] == 0


def test_a_run_that_keeps_a_relative_name_goes_on_where_it_was_made(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = len(table(tmp_path / "d.csv").read_text().splitlines()) - 1
    np.save(tmp_path / "classes.npy", np.arange(rows) % 2)
    assert call(capsys, *SMALL, "--data", "d.csv", "--labels", "classes.npy", "--conditional", "--run", "run")[0] == 0
    kept = json.loads(Path("run/run.json").read_text())
    kept["arguments"]["labels"] = "classes.npy"
    Path("run/run.json").write_text(json.dumps(kept))
    code, _, err = call(capsys, "train", "toy_vgrow", "--run", "run", "--resume")
    assert code == 0, err
    assert call(capsys, "sample", "run", "-n", 4, "--out", "x.npz")[0] == 0


def test_resume_takes_the_options_of_the_run_and_never_starts_a_new_one(tmp_path, capsys):
    run = tmp_path / "run"
    line = [
        *SMALL,
        "--data",
        str(table(tmp_path / "d.csv")),
        f"--run={run}",
        "--precision",
        "bf16",
        "--save-every",
        "3",
    ]
    assert call(capsys, *line)[0] == 0
    assert call(capsys, "train", "toy_vgrow", f"--run={run}", "--resume")[0] == 0
    described = json.loads((run / "run.json").read_text())
    assert described["options"]["precision"] == "bf16"
    assert described["options"]["save_every"] == 3
    assert described["command"].count("--run") == 1
    code, _, err = call(capsys, "train", "toy_vgrow", "--run", tmp_path / "typo", "--resume")
    assert code == 2
    assert "no such run" in err
    assert not (tmp_path / "typo").exists()
    assert call(capsys, "train", "toy_vgrow", "--resume")[0] == 2


def test_continuing_a_strangers_run_imports_nothing_that_its_folder_names(runs, tmp_path, capsys, monkeypatch):
    (tmp_path / "not_to_be_imported.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    run = tmp_path / "run"
    shutil.copytree(runs / "points", run)
    described = json.loads((run / "run.json").read_text())
    described["arguments"]["divergence"] = "not_to_be_imported:X"
    (run / "run.json").write_text(json.dumps(described))
    code, _, err = call(capsys, "train", "toy_vgrow", "--run", run, "--resume")
    assert code == 2
    assert "--divergence not_to_be_imported:X" in err
    assert "not_to_be_imported" not in sys.modules


def test_classes_keep_the_names_that_the_data_give_them(tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", x=rng.normal(size=(60, 2)), y=np.array(["cat", "dog", "eel"])[np.arange(60) % 3])
    run, out = tmp_path / "run", tmp_path / "x.npz"
    words = ["--data", f"{tmp_path / 'd.npz'}:x", "--labels", "y", "--conditional"]
    assert call(capsys, *SMALL, *words, "--run", run)[0] == 0
    assert call(capsys, "sample", run, "-n", 4, "--labels", "eel,cat", "--out", out)[0] == 0
    assert list(np.load(out)["labels"]) == ["eel", "cat", "eel", "cat"]
    code, _, err = call(capsys, "sample", run, "--labels", "fox", "--out", out)
    assert code == 2
    assert "cat, dog, eel" in err


@pytest.mark.parametrize(
    "option",
    ["--depth=-1", "--ema=2", "--penalty=-1", "--threads=-2", "--seed=-1", "--minutes=-1", "--save-every=-1",
     "--batch=100000000000", "--width=1000000", "--minutes=nan"],
)  # fmt: skip
def test_numbers_out_of_range_are_refused_before_any_work(option, tmp_path, capsys):
    code, _, err = call(capsys, *SMALL, option, "--run", tmp_path / "run")
    assert code == 2
    assert option.split("=")[0] in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change", [{"width": "8"}, {"width": 10**8}, {"batch": None}, {"divergence": 5}, {"new": 1}])
def test_a_checkpoint_whose_description_makes_no_sense_is_refused(change, runs, tmp_path, capsys):
    from pushforward.training import checkpoint

    run = tmp_path / "run"
    shutil.copytree(runs / "points", run)
    saved = checkpoint.load(run / "checkpoints" / "last")
    described = saved.run | {"arguments": saved.run["arguments"] | change}
    checkpoint.save(run / "checkpoints" / "last", saved.weights, saved.resume or {}, described)
    code, _, err = call(capsys, "sample", run, "-n", 2, "--out", tmp_path / "x.npz")
    assert code == 3
    assert err.count("\n") == 1


def test_places_that_cannot_be_written_end_in_one_line(runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    for words in (
        ["sample", runs / "points", "--out", tmp_path / "file" / "x.npz"],
        [*SMALL, "--run", tmp_path / "file" / "run"],
    ):
        code, _, err = call(capsys, *words)
        assert code == 2
        assert err.startswith("error: ")
    (tmp_path / "v1.0").mkdir()
    assert call(capsys, "sample", runs / "digits", "-n", 2, "--out", tmp_path / "v1.0")[0] == 0
    code, _, err = call(capsys, "sample", runs / "digits", "-n", 2, "--out", tmp_path / "v1.0")
    assert code == 2
    assert "new folder" in err


def test_evaluate_can_change_the_network_that_judges(runs, capsys):
    code, out, _ = call(capsys, "evaluate", runs / "digits", "--features", "raw", "-n", 50, "--json")
    assert code == 0
    assert not any("digits8" in name for name in json.loads(out)["metrics"])
    assert call(capsys, "evaluate", runs / "points", "--features", "digits8")[0] == 2
    assert call(capsys, "evaluate", "--fake", "toy:moons", "--real", "toy:moons", "-n", 5)[0] == 2


def test_a_toy_run_is_measured_in_the_units_of_its_mixture_and_a_table_in_standard_deviations(runs, tmp_path, capsys):
    from pushforward.commands.measuring import measure_run
    from pushforward.commands.rebuilding import rebuild

    class Oracle:
        """A method that answers with training rows."""

        def __init__(self, x: torch.Tensor) -> None:
            self.x = x

        def sample(self, n, rng=None, labels=None):
            return self.x[:n]

    experiment, _ = rebuild(runs / "points")
    experiment.method = Oracle(experiment.data.train)
    ring = bad_inputs.load("toy:ring8", limit=4000)
    experiment.data, experiment.method = ring, Oracle(ring.train)
    found = measure_run(tmp_path, "last", experiment, 1, n=2000)
    assert found["modes_captured_20"].value == 8
    assert found["high_quality"].value == pytest.approx(0.9889, abs=0.01)
    x = np.random.default_rng(0).normal(size=(400, 2)) * [1.0, 1e6]
    np.savetxt(tmp_path / "wide.csv", x, delimiter=",", header="a,b", comments="")
    wide = bad_inputs.load(str(tmp_path / "wide.csv"))
    experiment.data, experiment.method = wide, Oracle(wide.train)
    assert measure_run(tmp_path, "last", experiment, 1)["sliced_w2"].value < 1
