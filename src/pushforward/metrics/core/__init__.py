"""What every metric is made of: results, feature spaces, floors, permutations."""
