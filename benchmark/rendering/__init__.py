"""The rendered face set: anny's shapes and facial actions, pictured by Mitsuba after the plan of the Radboud Faces
Database.

Nothing heavy is imported here: the committed set loads without anny and Mitsuba (see `benchmark.rendering.production`).
"""
