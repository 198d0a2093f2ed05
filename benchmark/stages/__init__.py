"""The stages: prepare, train, judge, features, synthesize, score, report. Each is a function of its inputs alone.

One module a stage. A stage knows its recipe (what decides its content), the stages it reads from, how much work it
is, and how to do it; plan.py puts them together and runs them.
"""
