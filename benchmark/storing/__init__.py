"""Stored reference results: what is finished in a store is copied into the repository, with model cards."""
