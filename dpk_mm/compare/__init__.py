"""Fair comparisons of distillation methods: the parts of tools/compare.py."""
