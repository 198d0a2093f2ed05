"""Layers that compute what a plain one does, to rounding, in less time on a CPU: `models/` uses them too.

The plain twin of each stands in its docstring, and tests hold it to that twin. What each saves was measured as the
processor time of whole training steps with it and with its twin: in profile reference (64 px, width 1/8) on one core
with AVX-512, or at 128 px and width 1 where that is said. docs/speed.md has the steps beside the plain references.
"""
