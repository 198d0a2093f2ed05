"""From a suite to finished stages: the plan, what rows require, the order of work, and the processes that do it."""
