"""Schema changes, one file each under `versions`, applied in order when a database is opened."""
