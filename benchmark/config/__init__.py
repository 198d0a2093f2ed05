"""Suites, profiles and the paper's tables: YAML files, read safely into typed models. No method is imported here.

A suite says which rows a table has, a profile how much of everything is spent on them. Both are found by name in
`suites/` and `profiles/`, or given as the path of a YAML file. The paper's tables lie in results/paper.
"""
