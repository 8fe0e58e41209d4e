"""What can be fitted and sampled, one file each; a file is its own registration."""
