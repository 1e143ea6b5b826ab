"""What a run keeps of its data: all that tells what they are, digests that tell whether they changed, and no row."""
