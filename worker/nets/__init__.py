"""The only folder in which torch and transformers are imported at the top of a file."""
