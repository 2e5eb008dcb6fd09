"""Models of demucs: its files, its networks, and the bags that average several of them."""
