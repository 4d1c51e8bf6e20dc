"""What must outlive the process: the directory, bindings, events and call records, in SQLite or PostgreSQL."""
