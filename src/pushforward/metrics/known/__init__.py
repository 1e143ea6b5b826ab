"""How samples stand to what is known of the data's law beside its samples."""
