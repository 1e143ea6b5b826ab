"""What messages tell people to do can be done: options exist, packages can be installed, names are guessed right."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pushforward import cli, options
from pushforward.errors import UsageError, meant, nearest
from pushforward.recipes import RECIPES
from pushforward.settings.options import options_of
from pushforward.settings.running import Running

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "pushforward").rglob("*.py"))
OF_TRAIN = {name for recipe in RECIPES.values() for name in options_of(recipe)} | set(options_of(Running))
OF_COMMANDS = {name: options.flags_of(command) for name, command in cli.COMMANDS.items()}
OF_BENCHES = {name: options.flags_of(bench) for name, bench in cli.BENCHES.items()}
EVERYWHERE = OF_TRAIN.union(*OF_COMMANDS.values(), *OF_BENCHES.values()) | {"help", "version", "completion", "sampling"}


@cache
def texts(path):
    """Strings of a module that are no documentation, with their lines; pieces of one f-string as one."""
    tree = ast.parse(path.read_text())
    bodies = (node.body for node in ast.walk(tree) if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef))
    documents = {body[0].value for body in bodies if body and isinstance(body[0], ast.Expr)}
    found, inside = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            pieces = [part for part in node.values if isinstance(part, ast.Constant)]
            inside.update(pieces)
            found.append((node.lineno, "X".join(str(part.value) for part in pieces)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documents | inside:
            found.append((node.lineno, node.value))
    return found


def flags(text):
    return {word.rstrip(".-").replace("-", "_") for word in re.findall(r"(?<![\w-])--([a-z][\w-]*)", text)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src" / "pushforward")))
def test_options_that_texts_name_are_options_of_some_command(path):
    named = {(line, name) for line, text in texts(path) for name in flags(text) if "tyro" not in name}
    assert {name for _, name in named} <= EVERYWHERE, sorted(named)


@pytest.mark.parametrize("recipe", RECIPES)
def test_options_that_a_recipe_names_are_its_own(recipe):
    function = RECIPES[recipe]
    module = sys.modules[function.__module__]
    mine = [other for other, each in RECIPES.items() if each.__module__ == module.__name__]
    ours = {name for other in mine for name in options_of(RECIPES[other])} | set(options_of(Running))
    assert module.__file__ is not None
    assert {name for _, text in texts(Path(module.__file__)) for name in flags(text)} <= ours
    known = set(options_of(function)) | set(options_of(Running))
    assert flags(function.__doc__ or "") <= known


@pytest.mark.parametrize("command", ["evaluate", "merge"])
def test_options_that_the_checks_of_a_command_name_are_its_own(command):
    asked = ROOT / "src" / "pushforward" / "settings" / "asked.py"
    both = OF_COMMANDS["evaluate"] | OF_COMMANDS["merge"] | {"sampling"}
    assert {name for _, text in texts(asked) for name in flags(text)} <= both
    assert OF_COMMANDS[command]


ASIDE = r"\{packages\}|-c \S+|-e '?\.[^ ]*|-q|&&.*"  # what stands in a command of pip besides names


def test_packages_that_texts_tell_to_install_are_ones_that_are_asked_for_by_their_own_name():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    known = {re.split(r"[<>=\[ ]", one)[0].lower() for group in groups for one in group} - {"pushforward"}
    pages = [*SOURCES, *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").rglob("*.py")]
    named = 0
    for path in SOURCES:  # the functions of `errors` that say how to install what they are given
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("install", "needs"):
                words = node.args[0].value.split() if isinstance(node.args[0], ast.Constant) else []
                assert {word.lower() for word in words} <= known, f"{path.name}: {words}"
                named += len(words)
    for path in pages:
        for line in re.findall(r"pip install ([^\n`\"),]+)", path.read_text(encoding="utf-8")):
            words = [word.strip("'\";,") for word in re.split(r"\s+", re.sub(ASIDE, "", line))]
            for word in filter(None, words):
                assert word.lower() in known, f"{path.name}: pip install {line}"
                named += 1
    assert named >= 14


def test_the_nearest_name_is_guessed_whatever_its_case_and_nothing_is_guessed_from_afar():
    known = ["vgrow_images", "toy_vgrow", "gan_images"]
    assert nearest("vgrow_image", known)[0] == "vgrow_images"
    assert nearest("Vgrow-Images", known)[0] == "vgrow_images"
    assert meant("vgrow_image", known).startswith("did you mean vgrow_images")
    assert meant("conquer", known) == ""


GUESSES = [
    (["trian", "toy_vgrow"], "did you mean train?"),
    (["train", "vgrow_image"], "did you mean vgrow_images?"),
    (["train", "toy_vgrow", "--stpes", "3"], "did you mean --steps?"),
    (["train", "toy_vgrow", "--no-seed"], "did you mean --seed?"),
    (["train", "toy_vgrow", "--no-conditonal"], "did you mean --no-conditional"),
    (["train", "toy_vgrow", "--divergence", "PEARSN"], "did you mean PEARSON?"),
    (["train", "toy_vgrow", "--data", "toy:grid52"], "did you mean toy:grid25"),
    (["train", "--data", "x.csv", "toy_vgrow"], "name the recipe first"),
    (["sample", "run", "--outt", "x.npz"], "did you mean --out?"),
    (["transport", "run", "points.csv", "--label", "a"], "did you mean --labels?"),
    (["evaluate", "--fake", "toy:ring8", "--reel", "toy:ring8"], "did you mean --real?"),
    (["evaluate", "--fake", "toy:ring8", "--real", "toy:ring8", "--metrics", "manifodl"], "did you mean manifold?"),
    (["evaluate", "--fake", "toy:ring8", "--real", "toy:ring8", "--features", "scalde"], "did you mean scaled?"),
    (["merge", "cells.h5ad", "--batches", "donor"], "did you mean --batch?"),
    (["report", "run", "--json=yes", "--pag", "x"], "report has no such option"),
    (["doctor", "--jsn"], "did you mean --json?"),
    (["bench", "stabilty"], "did you mean stability?"),
    (["bench", "stability", "--movs", "1"], "did you mean --moves?"),
    (["--completion", "bsh"], "did you mean bash?"),
]


SWITCHES = [
    (name, option.name)
    for name, recipe in RECIPES.items()
    for option in options_of(recipe).values()
    if option.type is bool
]


@pytest.mark.parametrize(("recipe", "switch"), SWITCHES)
def test_a_switch_is_turned_either_way_and_may_say_what_holds_anyway(recipe, switch):
    name = switch.replace("_", "-")
    assert options.read([recipe, f"--{name}"], "").arguments[switch] is True
    assert options.read([recipe, f"--no-{name}"], "").arguments[switch] is False
    assert options.read([recipe, f"--{name}", f"--no-{name}"], "").arguments[switch] is False
    assert options.read([recipe, f"--no-{name}", f"--{name}"], "").arguments[switch] is True


@pytest.mark.parametrize(
    ("words", "said"), GUESSES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_wrong_names_are_answered_in_one_line_with_the_right_one(words, said, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    out, err = capsys.readouterr()
    assert (stop.value.code, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for k in range(12):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{k}.png")
    return folder


OF_POINTS = ["toy_vgrow", "toy_gan", "toy_particles", "flow_particles", "heavy_tails", "toy_latent", "density_toy"]


@pytest.mark.parametrize("recipe", OF_POINTS)
def test_recipes_of_points_refuse_images_before_anything_is_trained(recipe, photos):
    with pytest.raises(UsageError, match="holds images, and this recipe takes points; use vgrow_images"):
        RECIPES[recipe](data=str(photos))


def test_images_are_compared_at_the_side_that_a_note_advises(photos, tmp_path):
    from pushforward.data.compare.pairs import read_pair

    small = tmp_path / "small"
    small.mkdir()
    for file in photos.iterdir():
        Image.open(file).resize((8, 8)).save(small / file.name)
    pair = read_pair(str(small), str(photos))
    advice = next(one.words for one in pair.findings if "--side" in one.words)
    assert "--side 8 (side=8 in Python)" in advice
    assert read_pair(str(small), str(photos), side=8).real.shape[-1] == 8
    assert "side" in OF_COMMANDS["evaluate"]


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """What bash offers after some words, by the script that the command line prints."""
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    script = tmp_path_factory.mktemp("completion") / "pushforward.bash"
    words = [sys.executable, "-m", "pushforward.cli", "--completion", "bash"]
    script.write_text(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    def offered(*words):
        line = " ".join(f"'{word}'" for word in words)
        asked = (
            f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _tyro_pushforward; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
        done = subprocess.run(["bash", "-c", f"source '{script}'; {asked}"], capture_output=True, text=True)
        return set(done.stdout.split())

    return offered


PLACES = {"run", "file", "image", "a", "b", "settings", "opening", "sampling"}  # without a flag, or groups


def test_the_shell_completes_commands_recipes_options_and_choices(complete):
    assert complete("pushforward", "") >= set(cli.COMMANDS)
    assert complete("pushforward", "train", "") >= set(RECIPES)
    assert complete("pushforward", "train", "toy_vgrow", "--preci") == {"--precision"}
    assert {"fp32", "bf16"} <= complete("pushforward", "train", "toy_vgrow", "--precision", "")
    assert complete("pushforward", "bench", "") >= set(cli.BENCHES)
    for bench, names in OF_BENCHES.items():
        assert {f"--{name.replace('_', '-')}" for name in names} <= complete("pushforward", "bench", bench, "--")
    for command, names in OF_COMMANDS.items():
        wanted = {f"--{name.replace('_', '-')}" for name in names - PLACES}
        assert wanted <= complete("pushforward", command, "--") or command == "train", command


def test_completion_is_printed_without_loading_torch():
    words = (
        "import sys\nfrom pushforward.cli import main\ntry: main(['--completion', 'zsh'])\nexcept SystemExit: pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", words + "print('torch' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"
