"""Training: the loop, sampling, augmentation, checkpoints, methods by name and their contract, and the judge."""
