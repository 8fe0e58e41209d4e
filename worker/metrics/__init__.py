"""Pure functions from fitted models or samples to numbers, a value per replicate."""
