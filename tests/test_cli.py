"""The command line: what it answers, with which exit code, and that bad input never starts a run."""

import importlib.util
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward import __version__, cli

_spec = importlib.util.spec_from_file_location("bad_inputs", Path(__file__).parent / "data" / "test_bad_inputs.py")
assert _spec is not None
assert _spec.loader is not None
bad_inputs = importlib.util.module_from_spec(_spec)
sys.modules["bad_inputs"] = bad_inputs
_spec.loader.exec_module(bad_inputs)

POINTS = ["train", "toy_vgrow", "--data", "toy:mixture2", "--steps", "20", "--batch", "16", "--width", "8"]
LABELLED = [*POINTS, "--conditional"]
PARTICLES = ["train", "toy_particles", "--steps", "6", "--particles", "50", "--batch", "50", "--width", "8"]
DIGITS = ["train", "vgrow_digits", "--steps", "4", "--batch", "16", "--width", "8"]


def call(capsys, *words: object) -> tuple[int, str, str]:
    """Run a command in this process; exit code, standard output, standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


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


WRONG_USE = [
    (["train", "toy_vgro"], 2, "toy_vgrow"),
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
    (["sample", "nowhere", "--out", "x.npz"], 3, "no such run"),
    (["sample", "nowhere", "--out", "x.csv"], 2, "npz"),
    (["report", "nowhere"], 3, "run.json"),
    (["conquer"], 2, "conquer"),
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
    assert call(capsys, *POINTS, "--divergence", name, "--run", run)[0] == 0
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
    code, out, err = call(
        capsys, *POINTS, "--steps", "100000", "--minutes", "0.002", "--run", tmp_path / "run", "--json"
    )
    assert code == 0
    summary = json.loads(out)
    assert summary["status"] == "stopped"
    assert 0 < summary["step"] < 100_000
    assert "--resume" in err
