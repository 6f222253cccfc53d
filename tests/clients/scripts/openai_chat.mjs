import OpenAI from "openai";
import { asked, parameters, write } from "./files.mjs";

const tool = {
  type: "function",
  function: { name: "write_file", description: "Write a file", parameters, parse: JSON.parse, function: write },
};
const runner = new OpenAI().chat.completions.runTools({
  model: "demo",
  messages: [{ role: "user", content: asked }],
  tools: [tool],
  stream: true,
});
console.log(await runner.finalContent());
