"""Nets that know the noise level of what they see: denoisers D(y; s). They know no loss."""
