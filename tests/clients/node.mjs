// Plays one scenario in Node, over a WebSocket: JSON in, JSON out.
import { json } from "node:stream/consumers";
import * as sdk from "../browser/node_modules/@openai/agents-realtime/dist/index.mjs";
import { pcmOf, play } from "./scenarios.mjs";

const { scenario, url, apiKey, voice, long } = await json(process.stdin);
const sounds = Object.entries(voice).map(([name, base64]) => [name, pcmOf(base64)]);
const result = await play(scenario, {
  sdk,
  transport: new sdk.OpenAIRealtimeWebSocket({ url }),
  apiKey,
  voice: { long, ...Object.fromEntries(sounds) },
});
process.stdout.write(JSON.stringify(result));
