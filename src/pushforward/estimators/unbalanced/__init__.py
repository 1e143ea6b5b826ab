"""Flows of a part of a source onto a part of a target."""
