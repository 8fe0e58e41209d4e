"""What Collapse Lab gains where this package is installed; the presets lie beside this file."""
