"""Photographs as they lie on a user's disk: what their names say, what is wrong with them, where their faces are, and
one prepared file of them all.

`index` reads file names, `inspection` decodes one picture, `face_detection` finds its face, `stand_ins` takes the
landmarks of another picture where no face was found, `action_units` gives action units, `preparation` runs all of it in
parallel and can be resumed.
"""
