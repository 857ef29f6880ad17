"""Version of dpk_mm, kept apart so that setup.py can read it without importing torch."""

__version__ = '1.0.0rc1'
