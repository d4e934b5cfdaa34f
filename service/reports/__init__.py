"""What comes of the work in figures: measures with their question, formula and source, reckoned from the event log."""
