// Plays scripts to OpenAI's SDK for JavaScript, unchanged, and tells what it told: JSON
// in, JSON out. What the client is to do comes as cues, which are events like others.
import { json } from "node:stream/consumers";
import * as sdk from "../browser/node_modules/@openai/agents-realtime/dist/index.mjs";

const ACTIONS = {
  message: (client, text, other) => client.sendMessage(text, other ?? {}),
  image: (client, url) => client.addImage(url, { triggerResponse: false }),
  audio: (client, base64, commit) => {
    client.sendAudio(Uint8Array.from(Buffer.from(base64, "base64")).buffer, { commit });
  },
  output: (client, call, output, respond) => client.sendFunctionCallOutput(call, output, respond),
  interrupt: (client) => client.interrupt(),
  event: (client, event) => client.sendEvent(event),
  request: (client, response) => client.requestResponse(response ?? undefined),
  update: (client, config) => client.updateSessionConfig(config),
  history: (client, old, changed) => client.resetHistory(old, changed),
  mcp: (client, itemId, approved, reason) => client.sendMcpResponse({ itemId }, approved, reason),
  close: (client) => client.close(),
};

const plain = (value) =>
  JSON.parse(
    JSON.stringify(value, (_key, part) => {
      if (part instanceof ArrayBuffer) return Buffer.from(part).toString("base64");
      return part instanceof Error ? { message: part.message } : part;
    }),
  );

async function played({ name, options }, url, names) {
  const client = new sdk.OpenAIRealtimeWebSocket();
  const told = [];
  for (const event of names) {
    client.on(event, (...payload) => {
      if (payload[0]?.type !== "cue") told.push([event, ...plain(payload)]);
    });
  }
  client.on("*", ({ type, do: what, args }) => {
    if (type !== "cue") return;
    try {
      ACTIONS[what](client, ...args);
    } catch {
      told.push(["raised", what]);
    }
  });
  const gone = new Promise((resolve) => {
    client.on("disconnected", resolve);
    // Out of a handler of the SDK's own; its connection hears nothing after that.
    process.once("uncaughtException", () => resolve(told.push(["thrown"])));
  });
  await client.connect({ apiKey: "sk-any", url: `${url}?script=${name}`, ...options });
  await gone;
  process.removeAllListeners("uncaughtException");
  return told;
}

const { url, scripts, names } = await json(process.stdin);
const traces = {};
for (const script of scripts) traces[script.name] = await played(script, url, names);
process.stdout.write(JSON.stringify(traces), () => process.exit());
