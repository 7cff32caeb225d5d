"""How much clients may do in a time, and what becomes of those who do more."""
