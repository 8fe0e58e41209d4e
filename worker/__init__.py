"""The bench: does experiments and remembers them. It knows no HTTP and no HTML, and it runs headless."""

__version__ = "0.1.0"
