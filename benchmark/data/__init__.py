"""Data sets: the face set, its sources, its split by identity, and the lists of edits."""
