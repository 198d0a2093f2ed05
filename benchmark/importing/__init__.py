"""Published checkpoints become checkpoints of this benchmark: read, told apart, compared, renamed, written."""
