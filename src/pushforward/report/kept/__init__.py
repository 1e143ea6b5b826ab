"""What an evaluation keeps beside samples, for the page alone, and how it is read back, whoever wrote it."""
