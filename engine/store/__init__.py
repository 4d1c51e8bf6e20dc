"""What outlives the process: directory, bindings, events and call records, in one database."""
