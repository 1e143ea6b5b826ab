"""Generators as files for elsewhere: graphs with a card, read back in plain PyTorch, and folders as model hubs know."""
