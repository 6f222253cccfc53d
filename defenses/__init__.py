"""The decision: what is risky in what a model reads and writes. No HTTP, no provider."""
