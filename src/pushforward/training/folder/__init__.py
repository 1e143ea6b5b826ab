"""What lies in the folder of a run beside its checkpoints: whose it is, what it began as, how it went on."""
