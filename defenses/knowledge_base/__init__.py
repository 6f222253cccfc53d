"""Red-team cases and their hard neighbours, one JSON record a line, one file a task.

Each record was written for BlueCode: instructions and short descriptions, never working malware.
A safe record shares words with an unsafe one and differs in intent, consent or standing.
`bluecode.defenses.knowledge` reads them; nothing here is executed or sent anywhere.
"""
