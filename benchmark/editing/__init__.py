"""Edit photographs with a trained model: the parts of `benchmark.synthesize`."""
