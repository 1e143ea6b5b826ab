"""What every page is made of: the frame that lets in nothing foreign, and the pieces both kinds of page share."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from importlib import resources
from string import Template
from typing import Any

from pushforward import __version__
from pushforward.report.numbers.metrics import MARKS
from pushforward.report.reading import Record
from pushforward.report.values import DARK, HUES, LIGHT, count, digits, listed, text

__all__ = ["cells", "chip", "command", "fill", "name", "notes", "png_uri", "status", "travelling", "verdict"]


def fill(title: str, body: str) -> str:
    """Fill report.html; only its own style and script are let in, by their digests."""
    page = resources.files("pushforward.report").joinpath("report.html").read_text("utf-8")
    light, dark = (" ".join(f".r{k} {{ --run: {hue} }}" for k, hue in enumerate(hues)) for hues in (LIGHT, DARK))
    page = Template(page).safe_substitute(light=light, dark=dark, hues=HUES)
    style, script = (page.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0] for tag in ("style", "script"))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    footer = f"Written by pushforward {__version__}. This page is one file and loads nothing."
    return Template(page).substitute(policy=policy, title=text(title), body=body, footer=footer)


def _digest(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def name(run: Record) -> str:
    """What was trained on what."""
    return f"{text(run.info['recipe'])} <small>on</small> {text(run.data.get('name', 'unknown data'))}"


def travelling(run: Record) -> str:
    """That samples of a run moved nearly as fast at its end as the critic's slope L allows; empty where they did not.

    Their kinetic energy is then more than half of L²/2, which nothing exceeds.
    """
    ends = [value for _, value in run.curves.get("kinetic", ()) if value is not None]
    most = run.fastest**2 / 2 if run.fastest else 0.0
    if not ends or not most or ends[-1] <= most / 2:
        return ""
    return f" Samples were still travelling: kinetic energy {digits(ends[-1], 2)}, at most {digits(most, 2)}."


def status(info: dict[str, Any], travelling: str = "") -> str:
    """How training ended, in plain words; what was still `travelling` then, or lost, frozen or worse, is not well."""
    step, steps = count(info.get("step")), count(info.get("steps"))
    why = text(info.get("why", "no reason was recorded"))
    done = f"<b>Finished.</b> All {steps} steps were done."
    if "ended" in info:
        done = f"<b>Finished by itself</b> at step {step} of {steps}: {text(info['ended'])}."
    known = {
        "finished": ("good", done),
        "stopped": ("fair", f"<b>Stopped</b> at step {step} of {steps}, when its time was up; it can be resumed."),
        "interrupted": ("fair", f"<b>Interrupted</b> at step {step} of {steps}; it can be resumed."),
        "failed": ("bad", f"<b>Failed</b> at step {step} of {steps}: {why}"),
        "running": ("fair", f"<b>Running,</b> or ended without a word, at step {step} of {steps}."),
    }
    unknown = ("fair", f"<b>Status unknown</b> ({text(info.get('status'))}), at step {step} of {steps}.")
    grade, words = known.get(str(info.get("status")), unknown)
    ending = "".join(f" {text(said)}." for said in listed(info.get("ending")))
    grade = "fair" if (travelling or ending) and grade == "good" else grade
    return f'<p class="status {grade}"><span>{words}{travelling}{ending}</span></p>'


def verdict(run: Record) -> str:
    """What the run's samples came to when they were measured, and what must be read with that; nothing if unknown."""
    if not run.verdict:
        return ""
    items = "".join(f"<li>{text(words)}</li>" for words in run.warnings)
    alarms = f'<aside class="notes" aria-label="Warnings"><ul>{items}</ul></aside>' if items else ""
    return f'<p class="status {MARKS[run.grade]}"><span>{text(run.verdict)}</span></p>{alarms}'


def notes(runs: Sequence[Record]) -> str:
    """What is missing, damaged or not to be compared, and what a method said of itself."""
    said = [
        f"{run.label}: {note}" if len(runs) > 1 else note
        for run in runs
        for note in (*run.notes, *listed(run.info.get("remarks")))
    ]
    if len({run.digest for run in runs}) > 1:
        said.insert(0, "These runs learned from different data, so their numbers do not compare.")
    items = "".join(f"<li>{text(note)}</li>" for note in said)
    return f'<aside class="notes" aria-label="Notes"><ul>{items}</ul></aside>' if said else ""


def command(info: dict[str, Any]) -> str:
    """The command that made a run, with a button to copy it."""
    if not info.get("command"):
        return '<p class="soft">The command was not recorded.</p>'
    return (
        f'<div class="command"><code>{text(info["command"])}</code>'
        '<button type="button" class="copy" hidden>Copy</button></div>'
    )


def chip(k: int, label: str) -> str:
    """A label beside its colour."""
    return f'<span class="r{k % HUES}"><span class="chip"></span></span>{text(label)}'


def cells(tag: str, contents: Iterable[str]) -> str:
    """Cells of a table."""
    return "".join(f"<{tag}>{content}</{tag}>" for content in contents)


def png_uri(content: bytes) -> str:
    """A PNG file as the address of an image."""
    return "data:image/png;base64," + b64encode(content).decode()
