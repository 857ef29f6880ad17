"""The parts of the ranking of teachers."""
