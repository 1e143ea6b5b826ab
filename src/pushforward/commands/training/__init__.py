"""train: a recipe in a folder, watched, stopped and continued."""

from pushforward.commands.training.course import Outcome, train

__all__ = ["Outcome", "train"]
