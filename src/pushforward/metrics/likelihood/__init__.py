"""What a likelihood says, and what it does not see."""
