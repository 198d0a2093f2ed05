"""The check-up of a data set: what is there, missing and broken, and what each suite can make of it."""
