"""What bench_dialplan.py measures with: tables, queries, other libraries, the machine."""
