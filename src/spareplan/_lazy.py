"""Import public names when they are first used, so that ``spareplan --help`` never waits for pandas."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def attach(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Module-level ``__getattr__`` and ``__dir__`` for names that live elsewhere.

    Parameters
    ----------
    package : str
        Name of the package that offers the names.
    homes : mapping
        Public name to the module it is defined in; a name that equals its module's last part and has no
        attribute of that name gives the module.

    Returns
    -------
    tuple of callables
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(homes[name])
        return getattr(module, name, module) if not homes[name].endswith("." + name) else module

    def names() -> list[str]:
        return sorted(homes)

    return get, names
