"""Training: the loop, its pictures, checkpoints, methods by name, and the judge, which classifies expressions."""
