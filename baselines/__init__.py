"""The rivals of Table 1, one module each."""
