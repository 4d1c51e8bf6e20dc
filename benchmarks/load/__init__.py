"""Parts of the call benchmarks: load generators, the measured process, what the OS says of it."""
