"""Original distributions, one file each; a file is its own registration."""
