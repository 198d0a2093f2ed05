"""Photographs as they lie on a user's disk: what their names say, what is wrong with them, where their faces are, and
one prepared file of them all.

`listing` has the names, `looking` opens one picture, `finding` finds its face, `filling` says what stands in for a face
that was not found, `units` gives action units, `preparing` does it for all, side by side, and can be cut off.
"""
