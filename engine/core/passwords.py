"""What holds a password and must not show it in a log line or a traceback."""

from __future__ import annotations

import msgspec


class HidesPassword(msgspec.Struct, frozen=True):
    """A struct whose `password` never shows in `repr`."""

    def __repr__(self) -> str:
        """Show every field, the password as asterisks."""
        shown = (
            f"{name}={'***' if name == 'password' else repr(getattr(self, name))}"
            for name in self.__struct_fields__
        )
        return f"{type(self).__name__}({', '.join(shown)})"
