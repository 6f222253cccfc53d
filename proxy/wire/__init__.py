"""Wire protocols, one a file; `bluecode.proxy.wires` is the registry."""
