"""Real clients in front of BlueCode, each in the same scenes; what came of it goes into the docs.

`clients.toml` says which, `scenes.py` what is asked and what must come of it, `running.py` installs
one and runs it, and `python -m clients` does so for all and writes `docs/assistants/runs.json`.
"""
