"""Plain values: what JSON holds that may come from anybody, and what the columns of a table hold."""
