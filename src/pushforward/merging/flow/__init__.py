"""One cloud onto another: the flow of a merge, and the way of new cells."""
