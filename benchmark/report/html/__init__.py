"""Web pages in one file: a suite's report, and the leaderboard of several results."""
