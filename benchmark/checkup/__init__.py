"""Check a data set: count its pictures, list missing and broken ones, and tell which rows each suite can measure."""
