"""What the command line takes: a function for each command, whose signature is its options; nothing heavy is loaded."""
