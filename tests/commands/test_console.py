"""Names from files are shown as they stand: they move no cursor, ring no bell, and are no markup."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pushforward.commands import console
from pushforward.metrics.core.result import Measure
from pushforward.metrics.verdict.report import Report
from pushforward.plain.findings import LeftOut
from pushforward.progress import Bar

NAMES = ["u\x1b[31m", "\x1b]0;title\x07", "[bold red]v[/]", "[/nothing]", "a\rb", "\x9b2J", "\u202egnp", "a\nb"]


def harmless(shown: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in shown)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told_holds_a_name_and_obeys_none_of_it(name, capsys, monkeypatch):
    monkeypatch.setattr(console, "say", Console(stderr=True, highlight=False))
    console.tell(f"note: column {name}")
    shown = capsys.readouterr().err
    assert harmless(shown)
    assert shown.count("\n") == 1
    assert ("[" in name) == ("[" in shown)


@pytest.mark.parametrize("name", NAMES)
def test_a_report_shows_names_and_obeys_none_of_them(name, capsys):
    measure = Measure(1.0, n_fake=9, n_real=9, features=f"own {name}", protocol={"column": name})
    console.show_report(
        Report({f"w1[{name}]": measure}, (f"note {name}",), (LeftOut(name, f"warning {name}"),)), [f"gate {name}"]
    )
    assert harmless(capsys.readouterr().out)


@pytest.mark.parametrize("name", NAMES)
def test_a_bar_shows_names_and_obeys_none_of_them(name):
    plain, odd = io.StringIO(), io.StringIO()
    for out, shown in ((plain, "name"), (odd, name)):
        with Bar(Console(file=out, width=200, height=20), shown, 10) as bar:
            bar.move(3, shown)
    assert harmless(odd.getvalue())
