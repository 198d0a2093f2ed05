"""Engines: where the processes that make stages run (this machine, a Ray cluster, a Slurm cluster)."""
