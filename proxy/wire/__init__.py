"""One wire protocol a file: body to Conversation, events to text and code, verdict to refusal."""
