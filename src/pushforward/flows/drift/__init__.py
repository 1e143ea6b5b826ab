"""Drifting: the velocity between means of the data and of the samples near a point, by windows, without a critic."""
