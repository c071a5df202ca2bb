"""Training: one loop for every task, recipes in YAML, checkpoints from which a killed run goes on bit for bit."""
