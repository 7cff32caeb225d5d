"""One module per API, with all versions of its request and response.

Nothing is imported here: a producer needs six of the fifty.
"""
