"""Published checkpoints become checkpoints of this benchmark: read, recognised, compared, renamed, written."""
