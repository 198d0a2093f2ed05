"""What is measured, one file per metric; docs/metrics.md holds the definitions and says what may be compared with
what."""
