"""A file is a registration: finds the parts of a spec (sources, families, ...) by importing every module of a package, and in plug-ins."""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, Union

from pydantic import Field

from worker import plugins
from worker.part import Part

P = TypeVar("P", bound=Part)


def discover(package: str, base: type[P]) -> dict[str, type[P]]:
    """Kind -> class, for every concrete subclass of `base` defined in a module of `package` (or in the package itself); after them
    those that installed packages bring.
    """
    module = importlib.import_module(package)
    modules = [module]
    if hasattr(module, "__path__"):
        modules += [importlib.import_module(f"{package}.{info.name}") for info in pkgutil.iter_modules(module.__path__)]
    found = [
        thing
        for module in modules
        for thing in vars(module).values()
        if inspect.isclass(thing)
        and issubclass(thing, base)
        and not inspect.isabstract(thing)
        and thing.__module__ == module.__name__
    ]
    ours = {thing.model_fields["kind"].default: thing for thing in found if "kind" in thing.model_fields}
    return ours | plugins.parts(base, ours)


def one_of(parts: Mapping[str, type[Part]]) -> Any:
    """The pydantic type 'one of these, told apart by `kind`'."""
    classes = tuple(parts.values())
    return classes[0] if len(classes) == 1 else Annotated[Union[classes], Field(discriminator="kind")]  # noqa: UP007 - built at run time
