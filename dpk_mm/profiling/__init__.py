"""What a training step costs: the parts of the step profiler."""
