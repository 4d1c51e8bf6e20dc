"""Numbers: what of a typed number is dialled, and where it goes."""
