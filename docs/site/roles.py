"""Docstrings name classes as Sphinx does; the site shows the name alone."""

import re
from typing import Any

import griffe


class Roles(griffe.Extension):
    """Takes ``:class:`` and the like away."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Change an object's docstring."""
        if obj.docstring:
            obj.docstring.value = re.sub(r':\w+:`~?([^`]+)`', r'`\1`', obj.docstring.value)
