"""Pure call control: no clock, no I/O, no asyncio, no randomness. `now` and ids are arguments."""
