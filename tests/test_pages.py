"""What the pages say about the code is true: snippets compile, what they import is there, and links lead somewhere."""

import ast
import dataclasses
import re
import sys
import tomllib
from importlib import import_module, util
from pathlib import Path
from types import ModuleType

import pytest

from pushforward.cli import main
from pushforward.methods.bridges.diffusion import ScoreSampling
from pushforward.methods.bridges.two_stages import BridgeSampling
from pushforward.methods.latent.distilled import DistilledSampling

ROOT = Path(__file__).parents[1]
FOLDERS = (ROOT, ROOT / "docs", ROOT / "benchmarks")
PAGES = sorted(page for folder in FOLDERS for page in folder.glob("*.md"))
SNIPPETS = [
    pytest.param(found[1], id=f"{page.relative_to(ROOT)}-{k}")
    for page in PAGES
    for k, found in enumerate(re.finditer(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S))
]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_compiles_and_every_name_that_it_imports_is_there(snippet):
    for node in ast.walk(ast.parse(snippet)):
        if isinstance(node, ast.ImportFrom) and node.module and util.find_spec(node.module.split(".")[0]):
            module = import_module(node.module)
            missing = [name.name for name in node.names if not _has(module, name.name)]
            assert not missing, f"{node.module} has no {missing}"
        elif isinstance(node, ast.Import):
            for name in node.names:
                if name.name.startswith("pushforward"):
                    import_module(name.name)


def _has(module, name):
    return hasattr(module, name) or util.find_spec(f"{module.__name__}.{name}") is not None


@every_page
def test_links_between_files_lead_to_files(page):
    targets = re.findall(r"\]\(([^()\s#]+)(?:#[^()\s]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in targets if not re.match(r"[a-z]+:", link) and not (page.parent / link).exists()]
    assert not missing


@every_page
def test_modules_names_and_tests_that_a_page_names_exist(page):
    """`pushforward.room.module.Name`, `room.module.Name(...)` of a room of the package, and paths of files."""
    text = page.read_text(encoding="utf-8")
    if page.name == "CHANGELOG.md":
        pytest.skip("it names what was")
    rooms = "|".join(path.name for path in (ROOT / "src" / "pushforward").iterdir() if path.is_dir())
    dotted = re.findall(rf"`((?:pushforward|(?:pushforward\.)?(?:{rooms}))(?:\.[A-Za-z_]\w*)+)(?:\([^`]*\))?`", text)
    missing = {name for name in dotted if not name.endswith(SUFFIXES) and not _resolves(name)}
    files = re.findall(rf"`((?:{rooms}|tests|benchmarks|scripts|examples)/[a-z_/0-9]*(?:\.py)?)`", text)
    homes = (ROOT, ROOT / "src" / "pushforward")
    missing |= {path for path in files if "mine" not in path and not any((home / path).exists() for home in homes)}
    assert not missing


SUFFIXES = (".npz", ".npy", ".csv", ".parquet", ".h5ad", ".json", ".safetensors", ".md")


def _resolves(dotted):
    parts = dotted.removeprefix("pushforward.").split(".")
    found = import_module("pushforward")
    for part in parts if dotted != "pushforward" else []:
        if not hasattr(found, part) and isinstance(found, ModuleType):
            try:
                import_module(f"{found.__name__}.{part}")
            except ModuleNotFoundError:
                return False
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


ASKED = "train|sample|transport|restore|interpolate|evaluate|merge|report|demo|bench"
COMMAND = rf"(?:^|`|-m -- )((?:pushforward(?:\.cli)? )?(?:{ASKED}) [^`\n]+)"
COMMANDS = sorted(
    {
        (page.name, " ".join(found[1].split("#")[0].split()))
        for page in PAGES
        if page.name != "CHANGELOG.md"
        for found in re.finditer(COMMAND, page.read_text(encoding="utf-8"), re.MULTILINE)
        if "--" in found[1]
    }
)


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_on_a_page_has_only_options_that_there_are(page, command, capsys):
    words = command.removeprefix("pushforward.cli ").removeprefix("pushforward ").split()
    asked = words[:2] if words[0] in ("train", "bench") else words[:1]
    if asked[-1].isupper() or not re.match(r"\w", asked[-1]) or ":" in asked[-1]:
        pytest.skip("no recipe of ours")
    with pytest.raises(SystemExit) as done:
        main([*asked, "--help"])
    assert done.value.code == 0
    known = set(re.findall(r"--[a-z][\w.-]*", capsys.readouterr().out))
    if "sampling" in {word.split(".")[0].strip("-") for word in words}:
        fields = {
            one.name
            for group in (BridgeSampling, ScoreSampling, DistilledSampling)
            for one in dataclasses.fields(group)
        }
        known |= {f"--sampling.{name.replace('_', '-')}" for name in fields}
    assert {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)} <= known | {"--help"}


# ---- The pages that nobody writes


@pytest.fixture(scope="module")
def pages():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        yield import_module("pages")
    finally:
        sys.path.remove(str(ROOT / "docs"))


def test_the_reference_has_a_page_for_each_module_and_every_page_is_reached(pages):
    built = pages.reference(ROOT)
    modules = {
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "src" / "pushforward").rglob("*.py")
        if not any(part.startswith("_") and part != "__init__.py" for part in path.parts)
    }
    assert {path.stem for path in built} == modules
    listed = set(re.findall(r"^   (pushforward[\w.]*)$", "\n".join(built.values()), re.MULTILINE))
    assert listed == modules - {"pushforward"}


def test_links_of_the_repository_are_those_of_the_site_there(pages):
    def at(file, page, text):
        return pages.relink(ROOT, Path(file), Path(page), text)

    assert at("README.md", "generated/readme.md", "[s](docs/seam.md#x)") == "[s](../seam.md#x)"
    assert at("README.md", "generated/readme.md", "[c](CONTRIBUTING.md)") == "[c](contributing.md)"
    assert at("docs/seam.md", "seam.md", "[b](../benchmarks/README.md)") == "[b](generated/benchmarks.md)"
    assert (
        at("docs/seam.md", "seam.md", "[w](https://semver.org) [p](toys.md)") == "[w](https://semver.org) [p](toys.md)"
    )
    source = "[o](../src/pushforward/oracles/__init__.py)"
    assert at("docs/seam.md", "seam.md", source) == "[o](generated/reference/pushforward.oracles.rst)"


def test_docstrings_are_shown_as_they_look(pages):
    lines = [
        "A shape (n, *event), a norm |x| and code `a|b`.",
        "",
        "    F = |x|",
        "",
        "Args:",
        "    x: One, (n, *event).",
    ]
    pages.verbatim(None, "function", "f", None, None, lines)
    assert lines == [
        r"A shape (n, \*event), a norm \|x\| and code `a|b`.", "", "::", "", "    F = |x|", "",
        "Args:", r"    x: One, (n, \*event).",
    ]  # fmt: skip


def test_signatures_are_shown_as_they_are_written(pages):
    given = (
        "(x: Callable[[TypeAliasForwardRef('a.Samples')], int] = <function rbf at 0x7f>, y=<class 'torch.optim.Adam'>)"
    )
    shown = "(x: Callable[[a.Samples], int] = rbf, y=Adam)"
    assert pages.short(None, "function", "f", None, None, given, None) == (shown, None)


# ---- One version, one command


def test_the_version_is_written_once_and_cited_right(pages):
    import pushforward

    assert pages.version(ROOT) == pushforward.__version__
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited
    assert cited[1] == pushforward.__version__
    assert f"\n## {pushforward.__version__}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert not re.search(r"^version = ", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_house_on_the_page_is_that_of_the_import_contract():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    house = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("| room |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", house, re.MULTILINE) == [room.split(".")[1] for room in reversed(layers)]


def test_continuous_integration_runs_what_a_contributor_runs():
    workflows = [path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    assert workflows
    for text in workflows:
        commands = re.findall(r"- run: (.*)", text)
        assert commands
        assert all(command.startswith(".ci/run") for command in commands)
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for part in (
        "README.md",
        "'.[dev]'",
        "ruff check",
        "ruff format --check",
        "pyright",
        "lint-imports",
        "-m slow",
        "sphinx -W",
    ):
        assert part in run
