"""What recipes are wired from: checked options, data, optimisers, codecs."""
