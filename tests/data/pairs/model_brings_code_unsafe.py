from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("somebody/chatter", trust_remote_code=True)
