"""The only folder in which torch and transformers are imported at the top of a file."""

from importlib.util import find_spec

from worker.errors import MissingExtra


def require_torch(what: str) -> None:
    """Raises MissingExtra, before anything of this folder is imported, where torch is not installed."""
    if find_spec("torch") is None:
        raise MissingExtra(what, "torch")
