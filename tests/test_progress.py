"""Bars: what they count, what they show, and where they draw nothing."""

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

import pushforward
from pushforward.progress import Bar, Pulse, span


@pytest.fixture
def screen():
    return Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None, _environ={})


def lines(console):
    """What stands on a screen in the end, line by line; a terminal's orders to go up a line and wipe it are obeyed."""
    shown = [""]
    for order, words in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)|([^\x1b\r\n]+)", console.file.getvalue()):
        if order == "\n":
            shown.append("")
        elif order.endswith("A"):
            del shown[-1]
        elif order.endswith("K"):
            shown[-1] = ""
        shown[-1] += words
    return [line.rstrip() for line in shown if line.strip()]


def test_a_bar_of_steps_shows_name_count_times_and_numbers_and_stays(screen):
    with Bar(screen, "a_recipe", 8, done=3) as bar:
        bar.move(5, "gap 0.25")
        bar.move(8)
    (line,) = lines(screen)
    assert re.fullmatch(r"a_recipe ━+ 8/8 0:00:0\d left 0:00:00 gap 0.25", line)


def test_a_bar_of_parts_has_no_count_and_goes(screen):
    with Bar(screen, "reading") as bar:
        bar.begin("frechet")
        bar.move(0.5)
    assert "frechet" in screen.file.getvalue()
    assert "/1" not in screen.file.getvalue()
    assert lines(screen) == []


def test_each_part_starts_at_nothing(screen):
    with Bar(screen, "reading") as bar:
        bar.begin("one")
        bar.move(1.0)
        screen.file.seek(screen.file.truncate(0))
        bar.begin("two")
    seen = screen.file.getvalue()
    assert "two" in seen
    assert "one" not in seen
    assert "left -:--:--" in seen


def test_names_and_numbers_are_shown_as_they_stand(screen):
    with Bar(screen, "mine:[bold]", 2) as bar:
        bar.move(2, "gap[0] 1 [/x]")
    (line,) = lines(screen)
    assert line.startswith("mine:[bold] ")
    assert line.endswith("gap[0] 1 [/x]")


def test_many_numbers_on_a_narrow_screen_leave_count_and_times_whole(screen):
    screen.width = 80
    with Bar(screen, "a_recipe_of_mine", 2000) as bar:
        bar.move(2000, "  ".join(f"number_{k} 0.125" for k in range(9)))
    (line,) = lines(screen)
    assert re.fullmatch(r"a_recipe_of_mine ━{8,} 2000/2000 0:00:0\d left 0:00:00 number_0 0\.1.*…", line)
    assert len(line) <= 80


@pytest.mark.parametrize("total", [None, 3])
def test_a_bar_that_is_not_shown_draws_nothing(screen, total):
    with Bar(screen, "work", total, shown=False) as bar:
        bar.begin("part")
        bar.move(1)
    assert screen.file.getvalue() == ""


def test_lines_without_a_bar_are_due_now_and_then_and_tell_the_time_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("pushforward.progress.time.monotonic", lambda: now[0])
    pulse = Pulse(every=30)
    assert not pulse.due()
    now[0] += 40
    assert [pulse.due(), pulse.due()] == [True, False]
    assert pulse.left(0.25) == "about 120 s left".replace("120 s", span(120))
    assert (pulse.left(0.0), pulse.left(1.0)) == ("", "")
    pulse.begin()
    assert not pulse.due()


def test_where_output_is_piped_an_evaluation_says_how_far_it_is(capsys, monkeypatch):
    from pushforward.commands import watching

    now = [0.0]
    monkeypatch.setattr("pushforward.progress.time.monotonic", lambda: now[0])
    with watching.Watching() as watch:
        watch.begin("w2", 0.0)
        for k in range(1, 5):
            now[0] += 20
            watch.tick(k / 5)
    err = capsys.readouterr().err.splitlines()
    assert err == ["w2: 40%, about 60 s left", "w2: 80%, about 20 s left"]


def test_bars_have_one_home_that_loads_rich_only_for_a_bar():
    source = Path(pushforward.__file__).parent
    homes = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if re.search(r"\brich\.progress\b|\bfrom rich import .*\bprogress\b", path.read_text(encoding="utf-8"))
    }
    assert homes == {"progress.py"}
    words = "import sys, pushforward.progress; print('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout == "False\n"
