"""The baselines of Table 1, one module or package each, and the networks and layers that they share."""
