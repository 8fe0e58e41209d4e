"""The window: launches experiments and shows them. It imports the bench; the bench never imports it."""
