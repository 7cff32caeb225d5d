"""A Kafka producer for Python, asyncio first, and the broker to test it against."""
