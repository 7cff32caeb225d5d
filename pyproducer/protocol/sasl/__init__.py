"""Who we are, proven to a broker: one file for each mechanism, and the exchange around them."""
