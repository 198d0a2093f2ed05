"""Photographs: reads their names, checks them, finds their faces, and writes one prepared file of them all.

`index` reads file names, `inspection` decodes one picture, `face_detection` finds its face, `stand_ins` takes the
landmarks of another picture where no face was found, `action_units` gives action units, `preparation` runs all of it in
parallel and can be resumed.
"""
