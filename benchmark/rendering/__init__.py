"""Renders the face set: anny's shapes and facial actions, drawn by Mitsuba after the plan of RaFD.

Nothing heavy is imported here: the committed set loads without anny and Mitsuba (see `benchmark.rendering.production`).
"""
