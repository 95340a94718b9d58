"""The referee for convolution.

Reference implementations, named and called as in `torch.nn.functional`, with one keyword more, `method`: `public` has
them on one page. They are loaded when first asked for, with all that they need: a subject's process does without.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from refconv.public import *  # noqa: F403 (the page lists the names; a checker of types reads it, nothing runs it)
else:

    def __getattr__(name):
        """A module of the package, or what the public page names."""
        missing = AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name.startswith("_"):
            raise missing
        try:
            found = import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
            public = import_module(f"{__name__}.public")
            if not hasattr(public, name):
                raise missing from None
            found = getattr(public, name)
        globals()[name] = found
        return found

    def __dir__():
        public = import_module(f"{__name__}.public")
        return sorted({"__version__", *(name for name in vars(public) if not name.startswith("_"))})
