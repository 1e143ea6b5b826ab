"""evaluate and report: runs and files measured, and the pages about them."""

from pushforward.commands.measuring.judging import Evaluated
from pushforward.commands.measuring.kept import measured
from pushforward.commands.measuring.pages import report
from pushforward.commands.measuring.run import evaluate_run, measure_run
from pushforward.commands.measuring.samples import evaluate_samples

__all__ = ["Evaluated", "evaluate_run", "evaluate_samples", "measure_run", "measured", "report"]
