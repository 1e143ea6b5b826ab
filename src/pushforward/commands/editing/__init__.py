"""What a run with a denoiser does to pictures that are given to it: it fills them in, and goes from one to another."""
