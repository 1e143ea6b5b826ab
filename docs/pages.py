"""The pages of the site that nobody writes: the reference, the files at the root of the repository, the examples.

Links in a Markdown file are those of the repository, so that they work where it is read; `relink` says where they lead
on the site.
"""

from __future__ import annotations

import ast
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["relink", "relink_in_place", "short", "shown", "verbatim", "version", "write"]

PACKAGE = "pushforward"

# Files outside docs/ that are pages of the site, and their names there.
GUESTS = {
    "README.md": "generated/readme.md",
    "CONTRIBUTING.md": "generated/contributing.md",
    "CHANGELOG.md": "generated/changelog.md",
    "benchmarks/README.md": "generated/benchmarks.md",
}


def version(root: Path) -> str:
    """The version, which is written once, in the package."""
    source = (root / "src" / PACKAGE / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE)
    assert found is not None
    return found[1]


def write(root: Path, out: Path) -> None:
    """Write every page that is read off the repository into a folder that git does not know."""
    texts = {Path(page): relink(root, Path(file), Path(page)) for file, page in GUESTS.items()}
    texts |= {Path("generated") / path: text for path, text in {**reference(root), **examples(root)}.items()}
    for old in set(out.rglob("*.*")) - {out.parent / path for path in texts}:
        old.unlink()
    for path, text in texts.items():
        target = out.parent / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_text(encoding="utf-8") != text:  # unchanged pages are not built again
            target.write_text(text, encoding="utf-8")


# ---- Links


def relink(root: Path, file: Path, page: Path, text: str | None = None) -> str:
    """The Markdown of `file`, a path in the repository, with links as they must be on `page`, a path in docs/."""
    text = (root / file).read_text(encoding="utf-8") if text is None else text

    def target(found: re.Match[str]) -> str:
        link, _, anchor = found[1].partition("#")
        if not link or re.match(r"[a-z]+:", link):
            return found[0]
        there = Path(os.path.normpath(file.parent / link))
        if there.as_posix() in GUESTS:
            where = Path("docs") / GUESTS[there.as_posix()]
        elif there.parent.name == "examples" and there.suffix == ".py":
            where = Path("docs/generated") / there.with_suffix(".md")
        elif there.parts[:2] == ("src", PACKAGE):
            where = Path("docs/generated/reference") / f"{_dotted(Path(*there.parts[1:]))}.rst"
        else:
            where = there
        link = os.path.relpath(where, (Path("docs") / page).parent).replace(os.sep, "/")
        return f"]({link}{'#' if anchor else ''}{anchor})"

    return re.sub(r"\]\(([^()\s]+)\)", target, text)


def relink_in_place(root: Path, name: str, source: list[str]) -> None:
    """Sphinx's `source-read`: links of a page that lies in docs/ itself."""
    file = Path("docs") / f"{name}.md"
    if not name.startswith("generated/") and (root / file).is_file():
        source[0] = relink(root, file, Path(f"{name}.md"), source[0])


# ---- The reference: a page for each public module, room after room


def reference(root: Path) -> dict[Path, str]:
    """A page for each module, by its path; rooms in the order of the import contract, lowest first."""
    modules = {_dotted(path.relative_to(root / "src")): path for path in (root / "src" / PACKAGE).rglob("*.py")}
    modules = {name: path for name, path in sorted(modules.items()) if "._" not in name}
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = [room.strip() for layer in reversed(layers) for room in re.split(r"[|:]", layer)]
    missing = {name for name in modules if name.count(".") == 1} - set(rooms)
    rooms += sorted(missing)  # a room that the contract does not order is shown all the same
    pages = {name: _page(name, modules) for name in modules}
    pages[PACKAGE] += _toctree([room for room in rooms if room in modules])
    return {Path("reference") / f"{name}.rst": text for name, text in pages.items()}


def _dotted(path: Path) -> str:
    """pushforward/nets/mlp.py -> pushforward.nets.mlp"""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _page(name: str, modules: dict[str, Path]) -> str:
    """A module: its docstring, what it defines, where the names that it passes on are at home, and what is below it."""
    own, passed = _names(name, modules)
    title = name if name == PACKAGE else name.removeprefix(f"{PACKAGE}.")
    text = f"{title}\n{'=' * len(title)}\n\n.. automodule:: {name}\n"
    text += f"   :members: {', '.join(own)}\n" if own else "   :no-members:\n"
    if passed:
        links = ", ".join(f":py:obj:`{short} <{home}>`" for short, home in passed.items())
        text += f"\nNames at this level: {links}.\n"
    below = [other for other in modules if other.rpartition(".")[0] == name]
    return text + (_toctree(below) if below and name != PACKAGE else "")


def _toctree(names: list[str]) -> str:
    return "\n.. toctree::\n   :maxdepth: 1\n\n" + "".join(f"   {name}\n" for name in names)


def _names(name: str, modules: dict[str, Path]) -> tuple[list[str], dict[str, str]]:
    """The public names that a module defines, and those that it imports to pass them on, with their homes."""
    tree = ast.parse(modules[name].read_text(encoding="utf-8"))
    public = _public(tree)
    imported = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE)
        for alias in node.names
    }
    passed = {short: _home(*imported[short], modules) for short in public if short in imported}
    return [short for short in public if short not in passed], passed


def _home(module: str, short: str, modules: dict[str, Path]) -> str:
    """Where a name that may be passed on several times is defined."""
    if f"{module}.{short}" in modules:
        return f"{module}.{short}"
    return _names(module, modules)[1].get(short, f"{module}.{short}") if module in modules else f"{module}.{short}"


def _public(tree: ast.Module) -> list[str]:
    """`__all__`, or the functions and classes whose names begin with a letter where there is none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return [str(ast.literal_eval(item)) for item in getattr(node.value, "elts", [])]
    defined = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    return [node.name for node in defined if not node.name.startswith("_")]


# ---- Docstrings


def verbatim(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Sphinx's `autodoc-process-docstring`: a docstring says what it looks like, without marks for Sphinx.

    An indented block of its own is a formula or code, lines within bars are a table. `(n, *event)` is a shape and `|x|`
    a norm, not emphasis and not a substitution.
    """
    lines[:] = list(_verbatim(list(_tables(lines))))


def _tables(lines: list[str]) -> Iterator[str]:
    """Tables as Markdown has them become those of reStructuredText."""
    for i, line in enumerate(lines):
        if not re.fullmatch(r"\|.*\|", line):
            yield line
        elif not set(line) <= set("|-: "):
            if i == 0 or not lines[i - 1].startswith("|"):
                yield from (".. list-table::", "   :header-rows: 1", "")
            cells = line.strip("|").split("|")
            yield from (f"   {'  ' if k else '* '}- {cell.strip()}".rstrip() for k, cell in enumerate(cells))


def _verbatim(lines: list[str]) -> Iterator[str]:
    above, block, code = "", False, False
    for i, line in enumerate(lines):
        indented = line.startswith("    ")
        if indented and not block and i and not lines[i - 1].strip() and not _opens(above):
            yield from ("::", "")
            block = True
        elif line.strip() and not indented:
            block, above = False, above if line.startswith(" ") else line
        if not block:
            line, code = _plain(line, code and bool(line.strip()))
        yield line


def _opens(line: str) -> bool:
    """Whether what is indented below belongs to a line: a section of the docstring, an item, a directive."""
    return bool(re.match(r"[A-Z][A-Za-z]+:$|[-*] |\d+\. |\.\. |.*::$", line))


def _plain(line: str, code: bool) -> tuple[str, bool]:
    """A line with bars and the stars of shapes escaped where it is text, and whether it ends within backticks."""
    parts = re.split(r"(`+)", line)
    for i in range(0, len(parts), 2):
        if not code:
            parts[i] = re.sub(r"(?<=[(, ])\*(?=\w+[,)])", r"\\*", parts[i].replace("|", r"\|"))
        code ^= i + 1 < len(parts)
    return "".join(parts), code


def short(
    app: Any, what: str, name: str, obj: Any, options: Any, given: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Sphinx's `autodoc-process-signature`: words of the house and functions stand as they were written."""

    def plain(text: str | None) -> str | None:
        text = text and re.sub(r"TypeAliasForwardRef\('([\w.]+)'\)", r"\1", text)
        return text and re.sub(r"<(?:function|class) '?(?:[\w<>]+\.)*(\w+)'?(?: at 0x\w+)?>", r"\1", text)

    return plain(given), plain(returned)


def shown(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Sphinx's `autodoc-skip-member`: constants of a module are shown, what scikit-learn adds is not."""
    if what == "module" and not name.startswith("_"):
        return False
    return True if re.fullmatch("set_.*_request", name) else None


# ---- Examples: scripts in cells


def examples(root: Path) -> dict[Path, str]:
    """A page for each script in examples/: `# %% [markdown]` cells as text, the others as code."""
    scripts = sorted((root / "examples").glob("*.py"))
    return {Path("examples") / f"{path.stem}.md": _example(root, path) for path in scripts}


def _example(root: Path, path: Path) -> str:
    blocks = []
    for cell in re.split(r"^# %%", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        kind, _, body = cell.partition("\n")
        if "[markdown]" in kind:
            blocks.append("\n".join(line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines()))
        else:
            blocks.append(f"```python\n{body.strip()}\n```")
    text = "\n\n".join(blocks) + f"\n\nThe whole script is `examples/{path.name}`.\n"
    file = path.relative_to(root)
    return relink(root, file, Path("generated") / file.with_suffix(".md"), text)
