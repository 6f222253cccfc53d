import { jsonSchema, stepCountIs, streamText, tool } from "ai";
import { asked, parameters, write } from "./files.mjs";
import { model } from "./pointed.mjs";

const write_file = tool({ description: "Write a file", inputSchema: jsonSchema(parameters), execute: write });
const result = streamText({ model, prompt: asked, tools: { write_file }, stopWhen: stepCountIs(5) });
for await (const text of result.textStream) process.stdout.write(text);
