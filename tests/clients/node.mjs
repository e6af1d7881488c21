// Plays one scenario in Node, over a WebSocket: JSON in, JSON out.
import { json } from "node:stream/consumers";
import { hostedMcpTool } from "../browser/node_modules/@openai/agents-core/dist/index.mjs";
import * as sdk from "../browser/node_modules/@openai/agents-realtime/dist/index.mjs";
import { pcmOf, play } from "./scenarios.mjs";

const { scenario, url, apiKey, voice, long, serverUrl } = await json(process.stdin);
const sounds = Object.entries(voice).map(([name, base64]) => [name, pcmOf(base64)]);
const facts = { serverLabel: "facts", serverUrl, requireApproval: "always" };
const result = await play(scenario, {
  sdk,
  transport: new sdk.OpenAIRealtimeWebSocket({ url }),
  apiKey,
  voice: { long, ...Object.fromEntries(sounds) },
  tools: serverUrl ? [hostedMcpTool(facts)] : [],
});
process.stdout.write(JSON.stringify(result));
