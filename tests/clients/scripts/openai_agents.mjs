import { Agent, run, setTracingDisabled, tool } from "@openai/agents";
import { asked, parameters, write } from "./files.mjs";

setTracingDisabled(true);
const write_file = tool({ name: "write_file", description: "Write a file", parameters, strict: true, execute: write });
const agent = new Agent({ name: "Writer", model: "demo", tools: [write_file] });
const result = await run(agent, asked, { stream: true });
await result.completed;
console.log(result.finalOutput);
