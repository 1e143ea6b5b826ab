"""Folders for model hubs: what is pushed can be pulled, and what is not as it was pushed is refused whole."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from exporting.test_export import call, run  # noqa: F401

from pushforward.errors import DataError
from pushforward.exporting.loading import load_generator


@pytest.fixture(scope="module")
def pushed(run, tmp_path_factory) -> Path:  # noqa: F811
    from pushforward.commands.publishing.hub import push

    folder = tmp_path_factory.mktemp("hub") / "model"
    push(run, folder, licence='CC0 "public": domain\nand more')
    return folder


@pytest.fixture
def hub(pushed, tmp_path) -> Path:
    """A copy to do harm to."""
    return Path(shutil.copytree(pushed, tmp_path / "hub"))


def sums(folder: Path) -> dict[str, str]:
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    return {line[66:]: line[:64] for line in lines}


def test_a_folder_holds_what_hubs_know_and_its_digests(pushed, run):  # noqa: F811
    names = {path.relative_to(pushed).as_posix() for path in pushed.rglob("*") if path.is_file()}
    assert names == {"README.md", "config.json", "model.safetensors", "samples/samples.npz", "SHA256SUMS"}
    assert sums(pushed) == {
        name: hashlib.sha256((pushed / name).read_bytes()).hexdigest() for name in names - {"SHA256SUMS"}
    }
    head = dict(line.split(": ", 1) for line in (pushed / "README.md").read_text().split("---\n")[1].splitlines())
    assert head["library_name"] == "pushforward"
    assert json.loads(head["data_licence"]).startswith('CC0 "public": domain\\nand')  # a text of YAML, on one line
    assert json.loads((pushed / "config.json").read_text()) == load_generator(pushed).card
    shown = np.load(pushed / "samples" / "samples.npz")
    assert np.array_equal(shown["x"], load_generator(pushed)(64).numpy())
    assert set(shown["labels"]) == {"a", "b"}
    for name in names:
        assert b"secret_home" not in (pushed / name).read_bytes()


def test_what_is_pulled_is_what_was_pushed(hub, tmp_path, capsys):
    for name in (".gitattributes", ".cache/huggingface/x"):  # what hubs put beside
        (hub / name).parent.mkdir(parents=True, exist_ok=True)
        (hub / name).write_text("theirs")
    code, out, err = call(capsys, "pull", hub, tmp_path / "mine", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["notes"] == ["left out: .cache", "left out: .gitattributes"]
    listed = {*sums(hub), "SHA256SUMS"}
    assert {path.relative_to(tmp_path / "mine").as_posix() for path in (tmp_path / "mine").rglob("*.*")} | {
        "SHA256SUMS"
    } == listed
    for name in listed:
        assert sorted((tmp_path / "mine" / name).read_bytes().splitlines()) == sorted(
            (hub / name).read_bytes().splitlines()
        )
    assert load_generator(tmp_path / "mine")(3).shape == (3, 2)
    assert call(capsys, "pull", tmp_path / "mine", tmp_path / "again")[0] == 0


@pytest.mark.parametrize("name", ["m.safetensors", "m.pt"])
def test_an_exported_file_is_pushed_under_its_kind(run, tmp_path, capsys, name):  # noqa: F811
    assert call(capsys, "export", run, "--out", tmp_path / name)[0] == 0
    trust = ["--trust", tmp_path / name] if name == "m.pt" else []
    if trust:
        code, _, err = call(capsys, "push", tmp_path / name, tmp_path / "hub")
        assert code == 2
        assert "a program" in err
    assert call(capsys, "push", tmp_path / name, tmp_path / "hub", *trust)[0] == 0
    kept = tmp_path / "hub" / f"model{Path(name).suffix}"
    assert kept.read_bytes() == (tmp_path / name).read_bytes()
    assert call(capsys, "pull", tmp_path / "hub", tmp_path / "mine")[0] == 0
    code, _, err = call(capsys, "push", tmp_path / name, tmp_path / "other", "--licence", "mine", *trust)
    assert code == 2
    assert "goes with a run" in err


def altered(hub: Path) -> None:
    path = hub / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0" + b"")


def relist(hub: Path, *lines: str) -> None:
    text = (hub / "SHA256SUMS").read_text()
    (hub / "SHA256SUMS").write_text(text + "".join(f"{line}\n" for line in lines))


def link_out(hub: Path) -> None:
    (hub.parent / "secret").write_text("secret")
    (hub / "README.md").unlink()
    (hub / "README.md").symlink_to(hub.parent / "secret")


def folder_out(hub: Path) -> None:
    shutil.move(hub / "samples", hub.parent / "samples")
    (hub / "samples").symlink_to(hub.parent / "samples")


def no_list(hub: Path) -> None:
    (hub / "SHA256SUMS").unlink()
    (hub / "SHA256SUMS").mkdir()


def hostile_card(hub: Path) -> None:
    (hub / "model.safetensors").write_bytes(b"nothing of the kind")
    digest = hashlib.sha256(b"nothing of the kind").hexdigest()
    kept = [line for line in (hub / "SHA256SUMS").read_text().splitlines() if "model" not in line]
    (hub / "SHA256SUMS").write_text("\n".join([*kept, f"{digest}  model.safetensors"]) + "\n")


ZEROS = 64 * "0"
HARM = {
    "altered": (altered, "model.safetensors was altered"),
    "cut": (lambda hub: (hub / "config.json").write_bytes(b""), "config.json was altered"),
    "missing": (lambda hub: (hub / "config.json").unlink(), "config.json is listed and missing"),
    "not listed": (lambda hub: (hub / "run.sh").write_text("rm"), "run.sh is not listed"),
    "a link out": (link_out, "README.md is a link"),
    "a linked folder": (folder_out, "samples is a link"),
    "a pipe": (lambda hub: os.mkfifo(hub / "pipe"), "pipe is no plain file"),
    "no list": (lambda hub: (hub / "SHA256SUMS").unlink(), "has no SHA256SUMS"),
    "an empty list": (lambda hub: (hub / "SHA256SUMS").write_text(""), "lists nothing"),
    "a list of bytes": (lambda hub: (hub / "SHA256SUMS").write_bytes(b"\xff\xfe"), "no text in UTF-8"),
    "a large list": (lambda hub: (hub / "SHA256SUMS").write_bytes(b"a" * 2**21), "larger than 1 MiB"),
    "a folder for a list": (no_list, "a link or no file"),
    "a line of no digest": (lambda hub: relist(hub, "abc  x"), "no digest and new name"),
    "a name twice": (lambda hub: relist(hub, f"{ZEROS}  config.json"), "no digest and new name"),
    "a way up": (lambda hub: relist(hub, f"{ZEROS}  ../secret"), "no place in the folder"),
    "a way up and down": (lambda hub: relist(hub, f"{ZEROS}  a/../../secret"), "no place in the folder"),
    "a root": (lambda hub: relist(hub, f"{ZEROS}  /etc/passwd"), "no place in the folder"),
    "a drive": (lambda hub: relist(hub, f"{ZEROS}  C:\\x"), "no place in the folder"),
    "a dot": (lambda hub: relist(hub, f"{ZEROS}  ./config.json"), "no place in the folder"),
    "itself": (lambda hub: relist(hub, f"{ZEROS}  SHA256SUMS"), "no place in the folder"),
    "a hidden folder of git": (lambda hub: relist(hub, f"{ZEROS}  .git/hooks/x"), "no place in the folder"),
    "a control character": (lambda hub: relist(hub, f"{ZEROS}  a\x1b[2J"), "no place in the folder"),
    "a file that is no model": (hostile_card, "no readable safetensors"),
}  # fmt: skip


@pytest.mark.parametrize("harm", HARM)
def test_a_folder_that_was_harmed_is_refused_and_leaves_nothing(hub, tmp_path, capsys, harm):
    do, said = HARM[harm]
    do(hub)
    before = {path.name for path in tmp_path.iterdir()}
    code, out, err = call(capsys, "pull", hub, tmp_path / "mine")
    assert (code, out) == (3, "")
    assert said in err
    assert err.count("\n") == 1
    assert "\x1b" not in err
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_model_of_no_kind_is_refused(hub, tmp_path, capsys):
    (hub / "model.safetensors").unlink()
    text = (hub / "SHA256SUMS").read_text().splitlines()
    (hub / "SHA256SUMS").write_text("\n".join(line for line in text if "model" not in line) + "\n")
    code, _, err = call(capsys, "pull", hub, tmp_path / "mine")
    assert code == 3
    assert "holds no model" in err


def test_a_linked_model_is_not_followed(hub, tmp_path):
    shutil.move(hub / "model.safetensors", tmp_path / "model.safetensors")
    (hub / "model.safetensors").symlink_to(tmp_path / "model.safetensors")
    with pytest.raises(DataError, match=r"holds no model\.safetensors"):
        load_generator(hub)


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_nothing_is_written_over(verb, hub, run, tmp_path, capsys):  # noqa: F811
    source = run if verb == "push" else hub
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "empty")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("full", "file", "linked", "dangling"):
        code, _, err = call(capsys, verb, source, tmp_path / name)
        assert code == 2, name
        assert err.count("\n") == 1
    code, _, err = call(capsys, verb, source, hub / "inside" if verb == "pull" else run / "checkpoints" / "x")
    assert code == 2
    assert (full / "mine.txt").read_text() == (tmp_path / "file").read_text() == "mine"
    assert not list((tmp_path / "empty").iterdir())
    assert not (tmp_path / "nowhere").exists()
    assert call(capsys, verb, source, tmp_path / "empty")[0] == 0  # an empty folder is a new one


def test_what_is_laid_out_is_what_was_checked_though_the_file_changes_meanwhile(run, tmp_path, capsys, monkeypatch):  # noqa: F811
    assert call(capsys, "export", run, "--out", tmp_path / "m.safetensors")[0] == 0
    kept, read = (tmp_path / "m.safetensors").read_bytes(), Path.read_bytes

    def once(path: Path) -> bytes:
        content = read(path)
        if path.name == "m.safetensors":
            path.write_bytes(b"another")
        return content

    monkeypatch.setattr(Path, "read_bytes", once)
    assert call(capsys, "push", tmp_path / "m.safetensors", tmp_path / "hub")[0] == 0
    monkeypatch.undo()
    assert (tmp_path / "hub" / "model.safetensors").read_bytes() == kept
    assert load_generator(tmp_path / "hub").card == json.loads((tmp_path / "hub" / "config.json").read_text())


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_new_folders_above_go_where_nothing_comes_to_be(verb, run, hub, tmp_path, capsys, monkeypatch):  # noqa: F811
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pushforward.files.write_synced", full)
    source = run if verb == "push" else hub
    before = sorted(tmp_path.iterdir())
    assert call(capsys, verb, source, tmp_path / "new" / "deep" / "model")[0] != 0
    assert sorted(tmp_path.iterdir()) == before
    monkeypatch.undo()
    assert call(capsys, verb, source, tmp_path / "new" / "deep" / "model")[0] == 0
