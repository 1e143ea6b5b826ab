"""Flows of what lies near a point, which give modes their shape, and when they take over."""
