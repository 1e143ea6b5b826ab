"""What measures and findings say, by one rule: a reading of each, a verdict of all, and what a page makes of it."""
