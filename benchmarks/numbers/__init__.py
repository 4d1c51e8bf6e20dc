"""What the benchmarks of the dial plan measure with: tables, queries, other libraries, the machine."""
