"""The guests: built WebAssembly modules, the sources that make them, and their harnesses."""
