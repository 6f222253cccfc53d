import Anthropic from "@anthropic-ai/sdk";
import { asked, parameters, write } from "./files.mjs";

const client = new Anthropic();
const messages = [{ role: "user", content: asked }];
const tools = [{ name: "write_file", description: "Write a file", input_schema: parameters }];
for (;;) {
  const message = await client.messages.stream({ model: "demo", max_tokens: 999, messages, tools }).finalMessage();
  for (const block of message.content) if (block.type === "text") console.log(block.text);
  const calls = message.content.filter((block) => block.type === "tool_use");
  if (!calls.length) break;
  messages.push({ role: "assistant", content: message.content });
  const results = calls.map((call) => ({ type: "tool_result", tool_use_id: call.id, content: write(call.input) }));
  messages.push({ role: "user", content: results });
}
