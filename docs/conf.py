"""How the site is built: `python -m sphinx -W --keep-going -b html docs docs/_build/html`, with the extra `[docs]`."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS), str(ROOT / "src")]

import pages  # noqa: E402 (a file at our side, found by the line above)

# The types module is read, not imported, for the names that signatures keep as they were written: Samples, Velocity.
_words = ast.parse((ROOT / "src" / "pushforward" / "types.py").read_text(encoding="utf-8"))
_names = [
    node.target.id for node in _words.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
]

project = "pushforward"
author = copyright = "The pushforward authors"
version = release = pages.version(ROOT)
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"pushforward {release}"
html_copy_source = False
html_show_sourcelink = False

default_role = "py:obj"  # `name` in a docstring is a link where that name is documented, and code elsewhere
add_module_names = False
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"

autodoc_default_options = {"no-value": True}  # of constants: a divergence is a page of functions
autodoc_member_order = "bysource"
autodoc_type_aliases = {name: f"pushforward.types.{name}" for name in _names}
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # the signature has them
napoleon_use_rtype = False

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]


def setup(app: Any) -> None:
    """Write the pages that are read off the repository, and say how its docstrings are written."""
    app.connect("builder-inited", lambda app: pages.write(ROOT, DOCS / "generated"))
    app.connect("source-read", lambda app, name, source: pages.relink_in_place(ROOT, name, source))
    app.connect("autodoc-process-docstring", pages.verbatim, priority=400)  # before napoleon, which looks for sections
    app.connect("autodoc-process-signature", pages.short)
    app.connect("autodoc-skip-member", pages.shown)
