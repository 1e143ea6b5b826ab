"""What a run of particles tells its user: where new points end, beside what, of which class, and why a run ended."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pushforward import cli
from pushforward.commands import sampling
from pushforward.commands.measuring.drawing import drawn
from pushforward.commands.transport import distances
from pushforward.data import Batches
from pushforward.data.dataset import Dataset, Kind, Split
from pushforward.errors import UsageError
from pushforward.flows.critic import CriticFlow
from pushforward.methods.particles.driver import Particles
from pushforward.nets import mlp
from pushforward.parallel.placement import Placement
from pushforward.randomness import Noise
from pushforward.training import checkpoint
from pushforward.training.asking import stock
from pushforward.training.experiment import Experiment
from pushforward.training.learner import Learner
from pushforward.training.run import Run
from tests.guests.commands import call

CLASSES = ("cat", "dog")


def dataset(train, test, labels=(None, None), kind: Kind = "points") -> Dataset:
    decode, encode = (lambda x: x.double().numpy()), torch.from_numpy
    return Dataset("made", kind, train, test, labels[0], labels[1], decode, encode, None,
                   Split(0, 0.5, len(train), len(test), ""), (), CLASSES)  # fmt: skip


def shuffled(x):
    return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(5))]


def test_a_shift_is_found_and_the_ratio_is_that_of_the_shifts():
    x, v = torch.randn(60, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([0.6, 0.8])
    found = distances((shuffled(x + 7 * v), None), (shuffled(x + 3 * v), None), (x - 2 * v, None), dataset(x + v, x))
    assert found is not None
    assert found["n"] == 60
    # of two samples that differ by a shift, W2 is its length
    assert [found[name] for name in ("start", "carried", "trained", "floor")] == pytest.approx([7, 3, 2, 1], rel=1e-4)
    assert found["ratio"] == pytest.approx(1.5, rel=1e-4)


def test_sets_of_different_sizes_are_cut_to_the_smallest_and_nothing_is_compared_where_nothing_can_be():
    x = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
    found = distances((x[:50], None), (x[:50], None), (x[50:90], None), dataset(x[90:200], x[200:]))
    assert found is not None
    assert found["n"] == 40
    labels = torch.zeros(50, dtype=torch.int64)
    held = dataset(x[90:200], x[200:], (torch.zeros(110, dtype=torch.int64), torch.ones(100, dtype=torch.int64)))
    assert distances((x[:50], labels), (x[:50], labels), None, held) is None


def test_pictures_are_compared_along_lines_with_the_same_ratio():
    x = torch.randn(30, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    found = distances((x + 4, None), (shuffled(x + 2), None), (x + 1, None), dataset(x, x, kind="images"))
    assert found is not None
    assert (found["metric"], found["floor"]) == ("sliced_w2", pytest.approx(0.0, abs=1e-15))
    assert found["ratio"] == pytest.approx(2, rel=1e-4)
    assert found["start"] == pytest.approx(4 * 16**0.5 / 16**0.5, rel=0.15)  # |shift| / sqrt(d)


def test_classes_are_compared_in_the_shares_of_the_carried_points():
    """Classes a hundred units apart: any difference in their shares would be seen before the shift of one."""

    def points(zeros, ones, shift=0.0):
        labels = torch.tensor([0] * zeros + [1] * ones)
        return 100.0 * labels[:, None].float() + torch.tensor([shift, 0.0]), labels

    (train, train_labels), (test, test_labels) = points(20, 60), points(40, 40)
    found = distances(points(30, 10, 2.0), points(30, 10, 1.0), points(70, 15, 0.5),
                      dataset(train, test, (train_labels, test_labels)))  # fmt: skip
    assert found is not None
    assert found["n"] == 20 + 10  # 20 training rows of the first class, 10 carried points of the second
    assert [found[name] for name in ("start", "carried", "trained", "floor")] == pytest.approx([2, 1, 0.5, 0], abs=1e-5)


def experiment(particles: int, rare: int) -> Experiment:
    """Particles of which few are dogs, and data of which half are, with no fields recorded."""
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    halves, own = torch.arange(200) % 2, (torch.arange(particles) < rare).long()
    flow = CriticFlow(Learner(mlp.critic((2,), width=4, depth=1, classes=2), torch.optim.Adam))
    method = Particles(flow, x[:particles] + 100.0 * own[:, None], 0.1, Noise(0), labels=own)
    data = dataset(x[:200], x[200:], (halves, halves))
    return Experiment(method, Batches(data.train, 10), data, 1, conditional=True)


def test_samples_of_particles_without_fields_are_drawn_from_their_own_classes_so_that_none_runs_out():
    found = experiment(50, 5)
    pair, _, draws = drawn(found, 0, None)
    assert draws == 1
    assert len(pair.fake) == 50  # as many as there are, though there are 200 held-out rows
    assert isinstance(found.method, Particles)
    assert torch.equal(pair.fake.sort(0).values, found.method.particles.sort(0).values)  # each of them once
    labels = [sampling.labels_for(found, 20, Noise(seed), None) for seed in (0, 1)]
    assert all(label is not None and len(label) == 20 and int(label.sum()) <= 5 for label in labels)
    assert not torch.equal(*labels)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"keeps 50 particles.*at most 50"):
        sampling.labels_for(found, 51, Noise(0), None)
    assert stock(found.method) == 50
    found.method.source, found.method.tape = (lambda rng, n: rng.normal(n, 2)), [{}]
    assert stock(found.method) is None


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A run with classes and one without, on the same points."""
    base = tmp_path_factory.mktemp("runs")
    rng, labels = np.random.default_rng(0), np.arange(200) % 2
    x = rng.normal(size=(200, 2)) * 0.3 + 3.0 * labels[:, None]
    np.savez(base / "data.npz", x=x, y=np.array(CLASSES)[labels])
    new = rng.normal(size=(40, 2))
    np.savez(base / "new.npz", x=new, z=np.array(CLASSES)[np.arange(40) % 2], odd=np.array(["cow", "cat"] * 20))
    rows = "\n".join(f"{u:.5f},{v:.5f},{CLASSES[k % 2]}" for k, (u, v) in enumerate(new))
    (base / "new.csv").write_text(f"a,b,kind\n{rows}\n")
    small = ["train", "latent_particles", "--data", f"{base / 'data.npz'}:x", "--codec", "pca:2", "--steps", "5",
             "--particles", "60", "--batch", "40", "--width", "8", "--depth", "1", "--warmup", "2"]  # fmt: skip
    for name, more in {"classed": ["--labels", "y", "--conditional"], "plain": []}.items():
        with pytest.raises(SystemExit) as stop:
            cli.main([*small, *more, "--run", str(base / name)])
        assert not stop.value.code
    return base


def test_transport_says_how_far_new_points_end_from_held_out_data_beside_the_floor(runs, tmp_path, capsys):
    words = ["transport", runs / "plain", f"{runs / 'new.npz'}:x", "--out", tmp_path / "o.npz"]
    code, out, _ = call(capsys, *words, "--json")
    found = json.loads(out)["distances"]
    assert code == 0
    assert found["n"] == 20  # of 40 points, 60 particles, 180 training rows and 20 held-out ones
    assert found["ratio"] == pytest.approx(found["carried"] / found["trained"])
    assert 0 < found["floor"] < found["start"]
    code, out, _ = call(capsys, *words)
    assert code == 0
    for key in ("start", "carried", "trained", "floor", "ratio"):
        assert f"{key:8} {found[key]:<9.4g}" in out
    code, _, err = call(capsys, *words, "--labels", "cat")
    assert code == 2
    assert "have no classes" in err
    assert err.count("\n") == 1


def test_classes_of_new_points_come_by_name_by_column_by_array_and_by_file(runs, tmp_path, capsys):
    def carried(points, *more) -> dict[str, np.ndarray]:
        code, _, err = call(capsys, "transport", runs / "classed", points, "--out", tmp_path / "o.npz", *more)
        assert code == 0, err
        return dict(np.load(tmp_path / "o.npz"))

    npz, csv = f"{runs / 'new.npz'}:x", runs / "new.csv"
    array, column = carried(npz, "--labels", "z"), carried(csv, "--labels", "kind")
    other = carried(f"{csv}:a,b", "--labels", f"{runs / 'new.npz'}:z")
    assert list(array["labels"]) == list(column["labels"]) == list(other["labels"]) == [*CLASSES] * 20
    assert np.allclose(array["x"], column["x"], atol=1e-3)
    assert np.allclose(column["x"], other["x"])
    dogs = carried(npz, "--labels", "dog")
    assert set(dogs["labels"]) == {"dog"}
    assert np.allclose(dogs["x"][1::2], array["x"][1::2], atol=1e-5)
    assert not np.allclose(dogs["x"][::2], array["x"][::2], atol=1e-3)  # the others feel another field
    for more, fragments in (([], "add --labels.*cat, dog"), (["--labels", "odd"], "cow is none of the classes"),
                            (["--labels", "nowhere"], "nowhere")):  # fmt: skip
        code, _, err = call(capsys, "transport", runs / "classed", npz, "--out", tmp_path / "e.npz", *more)
        assert code in (2, 3)
        assert err.count("\n") == 1
        assert all(part in err for part in fragments.split(".*"))
    assert not (tmp_path / "e.npz").exists()


@pytest.mark.parametrize("name", ["one.npy", "one.csv"])
def test_a_single_point_is_carried_as_among_others_and_only_the_comparison_is_left_out(runs, tmp_path, capsys, name):
    x = np.load(runs / "new.npz")["x"]
    np.save(tmp_path / "one.npy", x[:1])
    (tmp_path / "one.csv").write_text("a,b\n" + ",".join(map(repr, x[0].tolist())) + "\n")
    words = ["transport", runs / "plain", tmp_path / name, "--out", tmp_path / "o.npz"]
    code, out, err = call(capsys, *words)
    assert (code, err) == (0, "")
    assert "comparison with held-out data left out: it needs at least 2 rows" in out
    one = np.load(tmp_path / "o.npz")["x"]
    assert one.shape == (1, 2)
    found = json.loads(call(capsys, *words, "--json")[1])
    assert found["distances"] is None
    assert "at least 2 rows" in found["left_out"]
    call(capsys, "transport", runs / "plain", f"{runs / 'new.npz'}:x", "--out", tmp_path / "all.npz")
    assert np.allclose(np.load(tmp_path / "all.npz")["x"][0], one[0], atol=1e-4)


@pytest.mark.parametrize("labels", ["cat,", ",dog", " "])
def test_an_empty_class_is_named(runs, tmp_path, capsys, labels):
    words = ["sample", runs / "classed", "-n", 2, "--out", tmp_path / "x.npz", "--labels", labels]
    code, _, err = call(capsys, *words)
    assert (code, err.count("\n")) == (2, 1)
    assert f"--labels {labels!r}: names an empty class" in err


def test_arguments_that_are_no_object_are_refused_and_not_read_as_defaults(runs, tmp_path, capsys):
    last = tmp_path / "run" / "checkpoints" / "last"
    shutil.copytree(runs / "plain", tmp_path / "run")
    saved = checkpoint.load(last)
    checkpoint.save(last, saved.weights, saved.resume or {}, saved.run | {"arguments": []})
    code, _, err = call(capsys, "sample", tmp_path / "run", "-n", 2, "--out", tmp_path / "x.npz")
    assert (code, err.count("\n")) == (3, 1)
    assert "arguments of its checkpoint is []" in err


def test_points_that_the_fields_throw_out_of_all_bounds_are_named(runs, tmp_path, capsys):
    np.save(tmp_path / "far.npy", np.array([[0.0, 0.0], [1e300, 1e300], [0.0, 1.0]]))
    code, _, err = call(capsys, "transport", runs / "plain", tmp_path / "far.npy", "--out", tmp_path / "o.npz")
    assert code == 3
    assert "row 1 and 0 others" in err
    assert err.count("\n") == 1


def test_a_look_at_many_particles_is_an_even_choice_with_their_classes(tmp_path, monkeypatch):
    monkeypatch.setattr("pushforward.training.run.JUDGED", 10)
    looks = []
    run = Run(tmp_path, {"seed": 0, "step": 0}, experiment(50, 20), Placement(), show=lambda *look: looks.append(look))
    run._look(0)
    ((_, _, x, _, labels),) = looks
    assert labels.tolist() == [1] * 4 + [0] * 6  # of 50 rows, of which the first 20 are dogs
    assert torch.equal(x[:, 0] > 50, labels == 1)


def test_looks_at_particles_keep_their_classes(runs):
    stored = load_file(runs / "classed" / "checkpoints" / "last" / "weights.safetensors")
    looks = sorted((runs / "classed" / "samples").glob("step-*.npz"))
    assert len(looks) > 2
    for look in looks:
        arrays = np.load(look)
        assert list(arrays["names"]) == [*CLASSES]
        assert np.array_equal(arrays["labels"], stored["method.labels"])


def test_a_run_that_ended_by_itself_says_why_and_again_when_it_is_taken_up(tmp_path, capsys):
    run = tmp_path / "run"
    words = ["train", "toy_particles", "--limit", "400", "--steps", "9", "--particles", "50", "--batch", "50",
             "--width", "8", "--warmup", "2", "--step", "0.1", "--step-end", "1", "--horizon", "0.35"]  # fmt: skip
    code, out, err = call(capsys, *words, "--run", run, "--json")
    assert code == 0
    assert "ended by itself at step 4 of 9: the horizon t = 0.35 was reached" in err
    assert re.search(r"step 1 of 9, \d+ s, divergence \S+ .*kinetic [\d.]+", err)  # as beside the bar
    summary, described = json.loads(out), json.loads((run / "run.json").read_text())
    assert (summary["status"], summary["step"]) == ("finished", 4)
    assert summary["ended"] == described["ended"]
    assert "Finished by itself" in (run / "report.html").read_text()

    # a crash between the last checkpoint and run.json leaves the reason in the checkpoint alone
    del described["ended"]
    (run / "run.json").write_text(json.dumps(described | {"status": "running"}))
    code, out, err = call(capsys, "train", "toy_particles", "--run", run, "--resume", "--json")
    assert code == 0
    assert "had ended by itself at step 4 of 9: the horizon t = 0.35 was reached" in err
    assert err.count("ended by itself") == 1
    (note,) = json.loads(out)["run_notes"]
    assert note.startswith("measured already, at step 4")
    assert json.loads(out) == summary | {key: json.loads(out)[key] for key in ("seconds", "cpu_seconds", "report")} | {
        "run_notes": [note]
    }
    again = json.loads((run / "run.json").read_text())
    assert (again["ended"], again["status"], again["step"]) == (summary["ended"], "finished", 4)


def test_columns_are_carried_by_name_and_training_and_transport_say_what_they_read(tmp_path, capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)) * [1, 10, 100]
    cells = [",".join(map(repr, row)) for row in x.tolist()]
    (tmp_path / "data.csv").write_text(",a,b,c\n" + "".join(f"{k},{row}\n" for k, row in enumerate(cells)))
    turned = [",".join(map(repr, row[::-1])) for row in x[:7].tolist()]
    (tmp_path / "abc.csv").write_text("a,b,c\n" + "\n".join(cells[:7]) + "\n")
    (tmp_path / "cba.csv").write_text("id,c,b,a\n" + "".join(f"{k},{row}\n" for k, row in enumerate(turned)))
    small = ["--steps", "3", "--particles", "20", "--batch", "10", "--width", "8", "--depth", "1"]
    code, out, err = call(capsys, "train", "toy_particles", "--data", tmp_path / "data.csv", *small, "--warmup", "1",
                          "--run", tmp_path / "run", "--json")  # fmt: skip
    assert code == 0
    assert "note: the first column has no name" in err
    assert json.loads(out)["data_notes"] == json.loads((tmp_path / "run" / "run.json").read_text())["data"]["notes"]
    carried = []
    for name in ("abc", "cba"):
        words = ["transport", tmp_path / "run", tmp_path / f"{name}.csv", "--out", tmp_path / f"{name}.npz"]
        code, out, _ = call(capsys, *words, "--json")
        assert code == 0
        carried.append(np.load(tmp_path / f"{name}.npz")["x"])
        assert bool(json.loads(out)["notes"]) == (name == "cba")
    assert np.array_equal(*carried)
    assert "note: left out, as the run has no such column: id;" in call(capsys, *words)[1]
