"""Untrusted code, run where it can do no harm: WebAssembly guests in worker processes.

Start at `workers.Sandbox`. This package imports no model, no HTTP and nothing of the packages above
it; a worker process imports only it and wasmtime.
"""
