"""What the tools of analysis share: models by name, their layers, samples, statistics."""
