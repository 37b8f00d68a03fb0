"""custkit: the helpers behind the customer-management workbook.

Submodules are loaded when first used, so that ``import custkit`` costs next to nothing.
"""

import importlib

__version__ = "0.1.0"

_MODULES = (
    "checks",
    "clv",
    "errors",
    "experiments",
    "funnel",
    "glossary",
    "lifecycle",
    "orders",
    "plots",
    "recording",
    "report",
    "rfm",
    "shrinkage",
    "tables",
)
__all__ = ["__version__", "check", *_MODULES]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"custkit.{name}")
    if name == "check":
        return importlib.import_module("custkit.checks").check
    raise AttributeError(f"module 'custkit' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
