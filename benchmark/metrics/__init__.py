"""Metrics, one file each; docs/metrics.md defines them and says what may be compared with what."""
