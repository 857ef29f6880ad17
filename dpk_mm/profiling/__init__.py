"""What a training step costs: time, arithmetic and memory, and its parts."""
