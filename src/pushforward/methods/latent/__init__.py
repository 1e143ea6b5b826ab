"""Methods in code space, and flows distilled into a net."""
