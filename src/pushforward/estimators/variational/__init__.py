"""The variational autoencoder as an estimator: the levels of its images, its nets, what it answers, and its face."""
