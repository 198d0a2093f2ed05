"""Using a trained model on photographs: what `benchmark.synthesize` is made of."""
