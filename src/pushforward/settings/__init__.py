"""Options, and groups of them as dataclasses without torch: recipes, estimators and commands share them."""
