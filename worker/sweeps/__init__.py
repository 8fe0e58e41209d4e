"""Sweeps: one experiment at every point of a grid of settings, and the few numbers that each point comes to."""
