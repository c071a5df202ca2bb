"""Experiments: recipes x changes x seeds, run one process each, and the tables and plots made of what they gave."""
