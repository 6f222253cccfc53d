import { GoogleGenAI } from "@google/genai";
import { asked, parameters, write } from "./files.mjs";

const ai = new GoogleGenAI({ apiKey: process.env.GEMINI_API_KEY });
const tool = { name: "write_file", description: "Write a file", parametersJsonSchema: parameters };
const contents = [{ role: "user", parts: [{ text: asked }] }];
for (;;) {
  const stream = await ai.models.generateContentStream({
    model: "gemini-2.5-pro",
    contents,
    config: { tools: [{ functionDeclarations: [tool] }] },
  });
  const calls = [];
  for await (const chunk of stream) {
    for (const part of chunk.candidates?.[0]?.content?.parts ?? []) if (part.text) process.stdout.write(part.text);
    calls.push(...(chunk.functionCalls ?? []));
  }
  if (!calls.length) break;
  contents.push({ role: "model", parts: calls.map((functionCall) => ({ functionCall })) });
  const results = calls.map(({ id, name, args }) => ({ functionResponse: { id, name, response: { output: write(args) } } }));
  contents.push({ role: "user", parts: results });
}
