"""The use cases: observe, plan, then execute. They know the core and nothing else."""
