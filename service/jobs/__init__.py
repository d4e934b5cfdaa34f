"""Later work: which sweep is due, and whether the workers are alive."""
