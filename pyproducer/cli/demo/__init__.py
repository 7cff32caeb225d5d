"""What ``pyproducer demo`` does: real data through every format and codec, and back."""
