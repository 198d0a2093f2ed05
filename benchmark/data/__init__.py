"""Data sets: what a face set is, where each one comes from, how it is split, drawn from and edited."""
