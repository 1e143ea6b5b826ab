"""A run goes on with more steps or another rate, and says so; what was done before stays as it was done."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward import cli
from pushforward.commands.rebuilding import rebuild
from pushforward.errors import UsageError
from pushforward.parallel.threads import asked, cores, kept
from pushforward.recipes import RECIPES
from pushforward.settings.options import options_of
from pushforward.settings.running import Running
from pushforward.training import checkpoint

FEW = ["--data", "toy:moons", "--limit", "200", "--width", "8"]
VGROW = ["toy_vgrow", *FEW, "--batch", "16"]
CLOUD = ["toy_particles", *FEW, "--particles", "30", "--batch", "20", "--warmup", "2"]


def call(capsys, *words: object) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    return int(stop.value.code or 0), capsys.readouterr().err


def begun(capsys, run: Path, words: list[str], *more: object) -> Path:
    code, err = call(capsys, "train", *words, "--run", run, *more)
    assert code == 0, err
    return run


def weights(run: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(run / "checkpoints" / "last").weights


def described(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())


def test_a_longer_run_has_a_second_leg_that_the_page_shows(tmp_path, capsys):
    run = begun(capsys, tmp_path / "run", VGROW, "--steps", 4)
    code, err = call(capsys, "train", "toy_vgrow", "--run", run, "--resume", "--steps", 7, "--rate", "1e-4")
    assert code == 0, err
    assert "from here on: --steps 7 (was 4), --rate 0.0001 (was 0.004)" in err
    now = described(run)
    assert (now["step"], now["steps"], now["status"], now["arguments"]["steps"]) == (7, 7, "finished", 7)
    first, second = now["legs"]
    assert (first["from"], first["steps"]) == (0, 4)
    assert (second["from"], second["changed"]) == (4, {"steps": [4, 7], "rate": [0.004, 0.0001]})
    assert {"version", "threads", "device", "precision", "world"} <= first.keys() & second.keys()
    assert "from step 4" in (run / "report.html").read_text()
    assert call(capsys, "train", "toy_vgrow", "--run", run, "--resume")[0] == 0
    assert described(run)["legs"] == now["legs"]


def made_again(capsys, run: Path, to: Path) -> Path:
    """What the command that a run shows makes, in another folder."""
    for line in described(run)["command"].split(" && "):
        name, *words = shlex.split(line)
        assert name == "pushforward"
        code, err = call(capsys, *(str(to) if word == str(run) else word for word in words))
        assert code == 0, err
    return to


def test_the_command_of_a_run_makes_it_again_bit_for_bit_whatever_it_went_through(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(90, 2)))
    words = ["toy_vgrow", "--data", tmp_path / "x.npy", *VGROW[3:], "--threads", 1]
    run = begun(capsys, tmp_path / "run", words, "--steps", 6, "--minutes", 0)  # one step, and stopped
    again = ["train", "toy_vgrow", "--run", run, "--resume"]
    assert call(capsys, *again, "--minutes", 0)[0] == 0  # as it was
    one = described(run)
    assert one["commands"] == [one["command"]]
    assert "--minutes" not in one["command"]
    assert "--data" in one["command"]
    assert call(capsys, *again, "--rate", "1e-4", "--until", 4)[0] == 0
    (tmp_path / "x.npy").rename(tmp_path / "moved.npy")
    assert call(capsys, *again, "--data", tmp_path / "moved.npy", "--minutes", 0)[0] == 0
    assert call(capsys, *again, "--steps", 8, "--rate=1e-3")[0] == 0
    now = described(run)
    assert now["step"] == 8
    assert [one["from"] for one in now["legs"]] == [0, 2, 4, 5]
    first, second, third = now["commands"]
    assert (first.count("--until 2"), second.count("--until 5"), third.count("--until")) == (1, 1, 0)
    assert (str(tmp_path / "moved.npy") in first, "--data" in second + third) == (True, False)
    assert now["command"] == f"{first} && {second} && {third}"
    other = weights(made_again(capsys, run, tmp_path / "again"))
    mine = weights(run)
    assert other.keys() == mine.keys()
    assert all(torch.equal(other[name], mine[name]) for name in mine)
    assert "--until 2" in (run / "report.html").read_text()


def test_a_run_stops_at_the_step_that_is_asked_for_and_says_how_it_goes_on(tmp_path, capsys):
    whole = begun(capsys, tmp_path / "whole", CLOUD, "--steps", 5)
    code, err = call(capsys, "train", *CLOUD, "--steps", 5, "--until", 2, "--run", tmp_path / "run")
    assert code == 0, err
    assert "stopped at step 2 of 5 as --until says: continue with --resume\n" in err
    assert "step 1 of 2," in err  # what is left is counted to where it stops
    assert "step 2 of 2," in err
    for until in (0, 2, 3):
        words = ["train", "toy_particles", "--run", tmp_path / "run", "--resume", "--until", until]
        code, err = call(capsys, *words)
        assert code == 0, err
        assert described(tmp_path / "run")["step"] == max(2, until)
        assert (f"--until {until}: nothing was trained" in err) == (until < 3)
    assert call(capsys, "train", "toy_particles", "--run", tmp_path / "run", "--resume")[0] == 0
    mine, theirs = weights(tmp_path / "run"), weights(whole)
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_whichever_of_minutes_and_until_stops_a_run_is_named(tmp_path, capsys):
    _, err = call(capsys, "train", *CLOUD, "--steps", 5, "--until", 2, "--minutes", 60, "--run", tmp_path / "a")
    assert "stopped at step 2 of 5 as --until says" in err
    assert "minutes" not in err
    assert "schedules" not in err  # --until changes none
    _, err = call(capsys, "train", *CLOUD, "--steps", 5, "--until", 3, "--minutes", 0, "--run", tmp_path / "b")
    assert "stopped at step 1 of 5 within 0 minutes; schedules" in " ".join(err.split())


def test_what_a_run_goes_on_with_stands_in_its_json(tmp_path, capsys):
    run = begun(capsys, tmp_path / "run", VGROW, "--steps", 2)
    capsys.readouterr()
    with pytest.raises(SystemExit, match="0"):
        cli.main(["train", "toy_vgrow", "--run", str(run), "--resume", "--steps", "3", "--rate", "1e-4", "--json"])
    out, err = capsys.readouterr()
    (note,) = json.loads(out)["run_notes"]
    assert note.startswith("from here on: --steps 3 (was 2), --rate 0.0001 (was ")
    assert f"note: {note}" in err


@pytest.mark.parametrize("count", [-1, cores() + 1])
def test_threads_that_cannot_be_are_an_error_that_names_them_and_those_that_can(count):
    with pytest.raises(UsageError, match=f"--threads {count}: .* give 1 to {cores()}, or 0"):
        asked(count)


def test_a_run_keeps_as_many_threads_as_may_be_asked_for():
    bound = options_of(Running)["threads"].between
    assert bound is not None
    assert [kept({"threads": int(count)}) for count in (1, bound.high, bound.high + 1)] == [1, bound.high, 0]


@pytest.mark.parametrize(("at", "steps", "code"), [(1, 3, 2), (3, 5, 0), (9, 6, 0)])
def test_a_length_is_held_against_what_the_checkpoint_has_done(at, steps, code, tmp_path, capsys):
    """A kill between checkpoint and run.json, or a failure after it, leaves another step in run.json."""
    run = begun(capsys, tmp_path / "run", VGROW, "--steps", 8, "--until", 4)
    (run / "run.json").write_text(json.dumps(described(run) | {"step": at}))
    words = ["train", "toy_vgrow", "--run", run, "--resume", "--steps", steps]
    assert call(capsys, *words)[0] == code
    if not code:
        assert (described(run)["step"], described(run)["status"]) == (steps, "finished")
        assert "ended" not in described(run)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ({"stages": [[1]]}, "stages is [[1]]"),
        ({"stages": [["ab"]]}, ""),
        ({"stages": 3}, "stages is 3"),
        ({"legs": [1, "x"]}, ""),
        ({"legs": {}}, "legs is {}"),
        ({"commands": [3]}, ""),
        ({"commands": "x"}, "commands is 'x'"),
        ({"threads": -3}, "-3 is no number of threads"),
        ({"threads": 10**6}, "1000000 is no number of threads"),
        ({"threads": True}, "True is no number of threads"),
        ({"threads": "2"}, "'2' is no number of threads"),
        ({"options": {"threads": 10**6}}, ""),
        ({"options": {"threads": -3, "save_every": 2}}, ""),
        ({"options": {"save_every": -2}}, "options.save_every -2"),
        ({"options": {"precision": 7}}, "options.precision 7"),
    ],
)
def test_a_strangers_words_on_how_a_run_went_are_told_in_a_line_that_names_them(harm, said, tmp_path, capsys):
    run = begun(capsys, tmp_path / "run", VGROW, "--steps", 4, "--until", 2)
    (run / "run.json").write_text(json.dumps(described(run) | harm))
    code, err = call(capsys, "train", "toy_vgrow", "--run", run, "--resume", "--until", 3)
    assert code == (0 if not said or "threads" in said else 3), err
    assert said in err
    assert "--threads -" not in err
    assert "--threads 1000000" not in err
    assert code == 0 or err.count("\n") == 1


def test_a_rate_that_no_step_would_use_is_refused_and_not_written_down(tmp_path, capsys):
    run = begun(capsys, tmp_path / "run", VGROW, "--steps", 4)
    before = (run / "run.json").read_bytes()
    code, err = call(capsys, "train", "toy_vgrow", "--run", run, "--resume", "--rate", "1e-4")
    assert code == 2
    assert "give more --steps too" in err
    assert (run / "run.json").read_bytes() == before


def test_schedules_of_the_second_leg_are_those_of_a_run_of_that_length(tmp_path, capsys):
    whole = begun(capsys, tmp_path / "whole", CLOUD, "--steps", 6)
    run = begun(capsys, tmp_path / "run", CLOUD, "--steps", 4)
    assert call(capsys, "train", "toy_particles", "--run", run, "--resume", "--steps", 6)[0] == 0
    method, long = rebuild(run)[0].method, rebuild(whole)[0].method
    short = rebuild(begun(capsys, tmp_path / "short", CLOUD, "--steps", 4))[0].method
    assert method.times(6) == [*short.times(4), *long.times(6)[4:]]
    assert short.times(4) != long.times(6)[:4]


def test_recorded_fields_keep_the_times_of_their_own_steps(tmp_path, capsys):
    """With every later step of no length to speak of, points are carried as the first leg carried them."""
    run = begun(capsys, tmp_path / "run", CLOUD, "--steps", 4, "--step-end", 1)
    first = rebuild(run)[0].method
    x = torch.randn(20, 2)
    carried = first.transport(x)
    words = ["train", "toy_particles", "--run", run, "--resume", "--steps", 6, "--step", "1e-12"]
    assert call(capsys, *words)[0] == 0
    second = rebuild(run)[0].method
    assert int(second.done) == 6
    assert torch.allclose(second.transport(x), carried, atol=1e-6)
    assert (carried - x).norm() > 1e-2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--width", "16"], "--width 16: the run began with 8"),
        (["--batch", "8"], "--batch 8: the run began with 16"),
        (["--seed", "1"], "--seed 1: the run began with 0"),
        (["--divergence", "JS"], "--divergence JS: the run began with KL"),
        (["--steps", "3"], "the run did 4 steps"),
    ],
)
def test_what_was_learned_of_cannot_change(more, said, tmp_path, capsys):
    run = begun(capsys, tmp_path / "run", VGROW, "--steps", 4)
    before = (run / "run.json").read_text()
    code, err = call(capsys, "train", "toy_vgrow", "--run", run, "--resume", *more)
    assert (code, err.count("\n")) == (2, 1)
    assert said in err
    assert (run / "run.json").read_text() == before


def test_a_stage_that_is_over_keeps_its_length_and_one_that_is_not_may_change(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(120, 4)))
    cloud = ["--particles", "30", "--batch", "20", "--width", "8", "--warmup", "2", "--codec-width", "8"]
    words = [
        "latent_particles",
        "--data",
        str(tmp_path / "x.npy"),
        "--codec",
        "autoencoder:2",
        "--codec-steps",
        "3",
        *cloud,
    ]
    run = begun(capsys, tmp_path / "run", words, "--steps", 4, "--distil-steps", 2)
    for option in (["--codec-steps", 5], ["--steps", 6]):
        code, err = call(capsys, "train", "latent_particles", "--run", run, "--resume", *option)
        assert (code, "is over" in err) == (2, True), err
    run = begun(capsys, tmp_path / "cut", words, "--steps", 4, "--minutes", 0)
    code, err = call(capsys, "train", "latent_particles", "--run", run, "--resume", "--codec-steps", 5, "--steps", 6)
    assert code == 0, err
    assert described(run)["step"] == 11


def test_a_run_that_ended_by_itself_goes_on_with_a_later_horizon(tmp_path, capsys):
    run = begun(capsys, tmp_path / "run", CLOUD, "--steps", 9, "--horizon", 1)
    ended = described(run)
    assert "horizon" in ended["ended"]
    code, err = call(capsys, "train", "toy_particles", "--run", run, "--resume", "--horizon", 0)
    assert code == 0, err
    assert (described(run)["step"], "ended" in described(run)) == (9, False)


def test_every_recipe_may_be_lengthened_and_every_learned_one_may_change_a_rate():
    for name, recipe in RECIPES.items():
        later = {option.name for option in options_of(recipe).values() if option.later}
        assert "steps" in later
        assert not later & {
            "width",
            "depth",
            "latent",
            "batch",
            "seed",
            "slope",
            "codec",
            "divergence",
            "data",
            "limit",
        }
        assert "rate" in later or name == "flow_particles" or "critic_rate" in later
