"""The softphone of the lab: registers, answers or calls, sends a tone, says what it heard."""

from engine.phone.config import PhoneConfig, PhoneError
from engine.phone.run import run_phone

__all__ = ["PhoneConfig", "PhoneError", "run_phone"]
