"""How well a merge mixes batches, and what it keeps."""
