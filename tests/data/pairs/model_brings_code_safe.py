from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained(
    "somebody/chatter", revision="1f0c3e2a9b", trust_remote_code=True
)
