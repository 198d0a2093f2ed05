"""Stored reference results: copy finished artifacts of a store into the repository, with model cards."""
