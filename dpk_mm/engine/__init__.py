"""Hooks and optimizer constructors: where the registries of ``dpk_mm.registry`` look for them."""
