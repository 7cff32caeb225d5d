"""Record batches, format version 2: reading, scanning, building and compressing them."""
