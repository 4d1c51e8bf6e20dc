"""What holds for every test."""

from hypothesis import settings

# A busy machine is no fault of the code: no test fails for the time an example took.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
