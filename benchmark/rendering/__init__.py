"""Renderer of the synthetic face set: anny's head shapes and facial actions, rendered by Mitsuba with RaFD's plan.

Importing the package imports neither anny nor Mitsuba: the committed set loads without them.
"""
