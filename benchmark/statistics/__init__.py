"""How sure a number is: intervals over seeds and identities, paired tests, jackknives, many tests, claims of papers."""
