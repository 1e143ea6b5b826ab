"""Plain values: what JSON of anybody holds, what the columns of a table hold, and lists and sizes in messages."""
