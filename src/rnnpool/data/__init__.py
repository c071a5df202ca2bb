"""Data sets for detection and their transforms: files in, uint8 samples and network-ready batches out."""
