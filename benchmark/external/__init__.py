"""Results of other programs: write a list of edits for them, and score their pictures as a row of a table."""
