"""SASL as a broker does it, one mechanism a file."""
