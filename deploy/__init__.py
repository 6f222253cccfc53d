"""What a deployment starts from: the default policy."""
