"""Adam's parameters and moments, held and updated without what a small net feels around it."""
