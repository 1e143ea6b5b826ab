"""Run folders to report on, and their pages read back."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import torch

from pushforward.data.source import load
from pushforward.data.toys import plane as toy
from pushforward.pictures import write_samples
from pushforward.terms import TERMS

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
VOID = {"meta", "img", "input", "link", "br", "hr"}


class Page(HTMLParser):
    """Elements, attributes and text of a page, with a check that tags close in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text("utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(self.source)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.tags if name == tag and attributes.items() <= found.items()]


def measure(value: float | None, floor: float | None, **more: Any) -> dict[str, Any]:
    record = {"value": value, "floor": floor, "se": None, "n_fake": 2000, "n_real": 500, "features": "raw"}
    return record | {"better": "lower", "protocol": {"split": "test", "seed": 0}} | more


FACTS = {
    "shape": "generator", "conditional": False, "logistic": True, "dual": False, "fastest": None, "terms": {},
}  # fmt: skip


def make_run(folder: Path, data: str = "toy:ring8", seed: int = 0, **changes: Any) -> Path:
    """A run folder as training leaves it, with a short log and three looks at samples."""
    folder.mkdir(parents=True)
    images = data == "digits"
    source = load(data) if images else toy.load("ring8", n_train=2000, n_test=400)
    info = {
        "format": 2, "recipe": "vgrow", "arguments": {"step": 0.5, "divergence": "KL", "width": 64}, "seed": seed,
        "steps": 200, "step": 200, "status": "finished", "seconds": 93.25, "best": {"step": 100, "score": 0.25},
        "data": {"name": data, "kind": source.kind, "event": list(source.event), "n_train": len(source.train),
                 "n_test": len(source.test), "seed": 0, "test_fraction": 0.1, "sha256": source.split.sha256},
        "device": "cpu", "precision": "float32", "threads": 2, "world": 1, "created": "2026-01-02T03:04:05",
        "versions": {"pushforward": "0.1.0", "python": "3.11.0", "torch": "2.13.0", "numpy": "2.1.0"},
        "facts": FACTS, "command": f"pushforward train vgrow --data {data} --seed {seed}",
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(info | changes))
    terms = [term for term in TERMS if not term.startswith("monitor")]
    lines = [{"step": k, "seconds": k / 3} | dict.fromkeys(terms, 1 / k) for k in range(1, 201, 10)]
    lines += [{"step": k, "score": 30 / k, "modes": k // 25, "of": 8, "moved": 1 / k} for k in (100, 200)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    metrics = {"w2": measure(0.6 + seed / 10, 0.5, se=0.01), "mmd": measure(0.001, 0.0, p=0.25),
               "high_quality": measure(0.9, 0.98, better="higher", n_real=0)}  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps({"metrics": metrics, "checkpoint": "last", "step": 200}))
    rng = torch.Generator().manual_seed(seed)
    for step in (0, 100, 200):
        x = torch.randn(100, *source.event, generator=rng) / (1 + step / 100)
        write_samples(folder / "samples", step, x, source)
    return folder


def clouds(page: Page) -> list[dict[str, Any]]:
    return [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page.source)]


def poisoned(value: Any) -> Any:
    """The same record with every string and key turned into an attack."""
    if isinstance(value, dict):
        return {key: poisoned(inner) for key, inner in value.items()} | {EVIL: EVIL}
    return [EVIL] if isinstance(value, list) else EVIL
