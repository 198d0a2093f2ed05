"""statistics: how sure a number is. Intervals over seeds and over test identities, paired tests, jackknives of Fréchet
and kernel distances, corrections for many tests, and the claims of papers held against results.
"""
