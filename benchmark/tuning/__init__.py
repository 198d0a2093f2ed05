"""Equal tuning: trials drawn up front for every method, run as rows of a suite, and their outcome."""
