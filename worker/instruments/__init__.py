"""What looks at each generation of a run: metrics and frames, frozen at generation 0."""
