// The one tool that the programs beside this offer to the model: it writes a file.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

export const parameters = {
  type: "object",
  properties: { path: { type: "string" }, content: { type: "string" } },
  required: ["path", "content"],
  additionalProperties: false,
};
export const write = ({ path, content }) => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return "Written.";
};
export const asked = process.argv[2];
