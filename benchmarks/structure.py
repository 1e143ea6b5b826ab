"""`python -m benchmarks.structure`: how the source is built, as tables; it reads the files and imports none of them.

What is asked stands beside what is found: files a room, long functions, wide functions, guesses at methods and flows,
imports that point back up, lines of options in recipes, files that one more recipe, metric or term touches. With
--json the same as one object, names and all; the exit status says whether everything holds.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = [
    "Function",
    "Table",
    "arrows",
    "functions",
    "guesses",
    "lengths",
    "modules",
    "option_share",
    "rooms",
    "tables",
    "together",
]

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "pushforward"
SOURCE = ROOT / "src" / PACKAGE

FILES, LENGTH, LINES, PARAMETERS, EXCEPTIONS, OPTIONS = 12, 330, 60, 8, 20, 0.35
"""Asked: files a room, lines of a file (300 and a tenth), lines and parameters of a function, how many files and
functions may exceed each, share of options."""

ASKED_OF = {"method", "flow"}
"""What a method or a flow is called where it is asked for something."""


@dataclass(frozen=True)
class Function:
    """A function of the source: where it stands, how long it is and how many parameters it takes."""

    place: str
    lines: int
    parameters: int
    constructs: bool
    """Whether it is a recipe, or the constructor of an estimator: their parameters are the options."""


@dataclass(frozen=True)
class Table:
    """One question to the source: what was found, what is asked at the most, and the names behind the number."""

    about: str
    found: float
    asked: float
    names: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether no more was found than is asked."""
        return self.found <= self.asked


def modules(source: Path = SOURCE) -> dict[str, ast.Module]:
    """Every module of the package, parsed, by dotted name; a folder's `__init__` bears the name of the folder."""
    parsed: dict[str, ast.Module] = {}
    for path in sorted(source.rglob("*.py")):
        parts = (source.name, *path.relative_to(source).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        parsed[name] = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    return parsed


def rooms(source: Path = SOURCE) -> dict[str, int]:
    """Python files in each folder, `__init__` among them, the fullest first."""
    folders = {path.parent for path in source.rglob("*.py")}
    counts = {str(folder.relative_to(source.parent)): len(list(folder.glob("*.py"))) for folder in folders}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def lengths(source: Path = SOURCE) -> dict[str, int]:
    """Lines of every Python file, the longest first."""
    counts = {
        str(path.relative_to(source.parent)): len(path.read_text(encoding="utf-8").splitlines())
        for path in source.rglob("*.py")
    }
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def functions(parsed: dict[str, ast.Module]) -> list[Function]:
    """Every function and method of the source, nested ones too: lines from `def` to the end, docstring included."""
    found: list[Function] = []
    for module, tree in parsed.items():
        for owner, node in _defined(tree):
            arguments = node.args
            names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
            if owner and names[:1] in (["self"], ["cls"]):
                names = names[1:]
            built = module.startswith(f"{PACKAGE}.recipes") and _returns(node) == "Experiment"
            built |= module.startswith(f"{PACKAGE}.estimators") and node.name == "__init__"
            place = ".".join(filter(None, (module, owner, node.name)))
            found.append(Function(place, (node.end_lineno or node.lineno) - node.lineno + 1, len(names), built))
    return found


def guesses(parsed: dict[str, ast.Module]) -> list[str]:
    """Calls of getattr or hasattr on a method or a flow: told by its name or by its annotation."""
    found: list[str] = []
    for module, tree in parsed.items():
        annotated: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.arg) and node.annotation and ast.unparse(node.annotation) in ("Method", "Flow"):
                annotated.add(node.arg)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr") and node.args:
                asked = ast.unparse(node.args[0])
                if asked.rpartition(".")[2].strip("_") in ASKED_OF or asked in annotated:
                    found.append(f"{module}:{node.lineno} {ast.unparse(node)}")
    return found


def arrows(parsed: dict[str, ast.Module], layers: Sequence[str]) -> list[str]:
    """Imports from a room that stands above the importer's: lazy ones and those for type checkers alike.

    `layers` are the tiers of the import contract, the highest first. The package itself is the face: what it imports
    is not counted, and nothing may be imported from it but its version.
    """
    height = {layer: -k for k, layer in enumerate(layers)}
    found: list[str] = []
    for module, tree in parsed.items():
        own = _tier(module, height)
        if module == PACKAGE:
            continue
        if own is None:
            found.append(f"{module} stands in no tier of the contract")
            continue
        for line, target in _imports(module, tree, parsed):
            tier = _tier(target, height)
            unknown = tier is None and target != f"{PACKAGE}.__version__"
            if unknown or (tier is not None and height[tier] > height[own]):
                found.append(f"{module}:{line} -> {target}")
    return found


def together(parsed: dict[str, ast.Module]) -> list[str]:
    """Modules outside `parallel/` that know of process groups: imports of torch.distributed or torch.nn.parallel."""
    found: list[str] = []
    for module, tree in parsed.items():
        named: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                named.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                named.update(f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Attribute):
                named.add(ast.unparse(node))
        groups = [name for name in sorted(named) if name.startswith(("torch.distributed", "torch.nn.parallel"))]
        if groups and not module.startswith(f"{PACKAGE}.parallel"):
            found.append(f"{module} {groups[0]}")
    return found


def option_share(parsed: dict[str, ast.Module]) -> float:
    """Lines of signatures and of `Args` sections by all lines, in the recipes: functions that return an `Experiment`.

    Functions of `recipes.parts` do not count, even if they return one.
    """
    options = total = 0
    for module, node in _returning(parsed, "recipes", ("Experiment",)):
        if module.startswith(f"{PACKAGE}.recipes.parts."):
            continue
        options += node.body[0].lineno - node.lineno + len(_section(ast.get_docstring(node) or "", "Args:"))
        total += (node.end_lineno or node.lineno) - node.lineno + 1
    return options / total


def registrations(parsed: dict[str, ast.Module]) -> dict[str, list[str]]:
    """Files that one more of a family would touch beside the one in which it is written.

    Such a file names at least a third of the family: in an import, in a display or in `__all__`. A family of functions
    is every recipe, or every metric; the terms are the keys of the one table that holds them.
    """
    recipes = {f.name: m for m, f in _returning(parsed, "recipes", ("Experiment",))}
    measured = ("Measure", "dict[str, Measure]", "Mapping[str, Measure]")
    metrics = {f.name: m for m, f in _returning(parsed, "metrics", measured) if m.count(".") > 2}
    terms = _keys(parsed, "TERMS")
    return {
        "recipe": _registers(parsed, recipes),
        "metric": _registers(parsed, metrics),
        "term": _registers(parsed, dict.fromkeys(terms, f"{PACKAGE}.terms"), strings_only=True),
    }


def tables(root: Path = ROOT) -> list[Table]:
    """Every table of the source below `root`."""
    source = root / "src" / PACKAGE
    parsed = modules(source)
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    counted, every = rooms(source), functions(parsed)
    large = tuple(f"{n:3} {file}" for file, n in lengths(source).items() if n > LENGTH)
    full = tuple(f"{n:3} {room}" for room, n in counted.items() if n >= FILES)
    long = sorted((f for f in every if f.lines > LINES), key=lambda f: -f.lines)
    wide = sorted((f for f in every if f.parameters > PARAMETERS and not f.constructs), key=lambda f: -f.parameters)
    guessed, up, groups, share = guesses(parsed), arrows(parsed, layers), together(parsed), option_share(parsed)
    found = [
        Table("files in the fullest room", max(counted.values()), FILES, full),
        Table(f"files over {LENGTH} lines", len(large), EXCEPTIONS, large),
        Table(f"functions over {LINES} lines", len(long), EXCEPTIONS, tuple(f"{f.lines:3} {f.place}" for f in long)),
        Table(
            f"functions over {PARAMETERS} parameters, recipes and estimators aside",
            len(wide),
            EXCEPTIONS,
            tuple(f"{f.parameters:3} {f.place}" for f in wide),
        ),
        Table("getattr and hasattr on methods and flows", len(guessed), 0, tuple(guessed)),
        Table("imports that point back up", len(up), 0, tuple(up)),
        Table("modules outside parallel/ that know of process groups", len(groups), 0, tuple(groups)),
        Table("share of option lines in recipes", round(share, 3), OPTIONS, ()),
    ]
    for what, touched in registrations(parsed).items():
        found.append(Table(f"files that one more {what} touches beside its own", len(touched), 0, tuple(touched)))
    return found


Definition = ast.FunctionDef | ast.AsyncFunctionDef


def _defined(tree: ast.AST, owner: str = "") -> Iterator[tuple[str, Definition]]:
    """Functions below a node, each with the dotted names of the classes and functions around it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition):
            yield owner, node
        inside = isinstance(node, Definition | ast.ClassDef)
        yield from _defined(node, f"{owner}.{node.name}".strip(".") if inside else owner)


def _returns(node: Definition) -> str:
    return "" if node.returns is None else ast.unparse(node.returns).strip("'\"")


def _returning(parsed: dict[str, ast.Module], room: str, answers: Sequence[str]) -> Iterator[tuple[str, Definition]]:
    """Public functions at the top of the modules of a room that return one of these."""
    for module, tree in parsed.items():
        for node in tree.body if module.startswith(f"{PACKAGE}.{room}.") else ():
            if isinstance(node, Definition) and node.name[0] != "_" and _returns(node) in answers:
                yield module, node


def _keys(parsed: dict[str, ast.Module], table: str) -> list[str]:
    """Keys of the dictionary that is assigned to a name in `pushforward.terms`."""
    for node in parsed[f"{PACKAGE}.terms"].body if f"{PACKAGE}.terms" in parsed else ():
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == table and isinstance(node.value, ast.Dict):
            keys = (key.value for key in node.value.keys if isinstance(key, ast.Constant))
            return [key for key in keys if isinstance(key, str)]
    return []


def _registers(parsed: dict[str, ast.Module], homes: dict[str, str], strings_only: bool = False) -> list[str]:
    """Modules that name a third of a family of which they are not the home; `homes` says where each name is written."""
    found: list[str] = []
    for module, tree in parsed.items():
        named: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named.add(node.value)
            elif isinstance(node, ast.ImportFrom) and not strings_only:
                named.update(alias.name for alias in node.names)
        if homes and 3 * sum(name in named and homes[name] != module for name in homes) >= len(homes):
            found.append(module)
    return found


def _tier(module: str, layers: dict[str, int]) -> str | None:
    """The tier of the contract in which a module stands."""
    return next((layer for layer in layers if module == layer or module.startswith(f"{layer}.")), None)


def _imports(module: str, tree: ast.Module, parsed: dict[str, ast.Module]) -> Iterator[tuple[int, str]]:
    """Modules of the package that a module imports anywhere in its text, with the lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if _ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, f"{PACKAGE}: a relative import in {module}"
        elif isinstance(node, ast.ImportFrom) and _ours(node.module or ""):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield node.lineno, inner if inner in parsed or node.module == PACKAGE else str(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "import_module":
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and _ours(str(argument.value)):
                    yield node.lineno, str(argument.value)


def _ours(name: str) -> bool:
    return name == PACKAGE or name.startswith(f"{PACKAGE}.")


def _section(docstring: str, title: str) -> list[str]:
    """Lines of a section of a docstring, title included, up to the next line that is not indented."""
    lines = docstring.splitlines()
    if title not in lines:
        return []
    start = lines.index(title)
    rest = (k for k in range(start + 1, len(lines)) if lines[k] and not lines[k][0].isspace())
    return [line for line in lines[start : next(rest, len(lines))] if line.strip()]


def main() -> int:
    """Print the tables; 1 where one of them does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.structure", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON list on standard output")
    parser.add_argument("--names", action="store_true", help="the names behind every number, not only where it exceeds")
    options = parser.parse_args()

    found = tables()
    if options.json:
        print(json.dumps([asdict(table) | {"holds": table.holds} for table in found], indent=1))
        return int(not all(table.holds for table in found))
    for table in found:
        print(f"{'    ' if table.holds else 'OVER'} {table.about}: {table.found:g} (asked: at most {table.asked:g})")
        if options.names or not table.holds:
            print("".join(f"       {name}\n" for name in table.names), end="")
    return int(not all(table.holds for table in found))


if __name__ == "__main__":
    sys.exit(main())
