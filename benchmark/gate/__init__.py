"""Whether a change made anything worse: stored results, probes, comparisons with a known false-alarm rate."""
