"""One module per API: what the broker answers. `table` says which versions of each are served."""
