"""Results of other programs: the list of edits that they are asked for, and the table row of their pictures."""
