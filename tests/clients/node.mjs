// Plays scenarios in Node, over a WebSocket: what is asked for comes in a request, and
// goes back in the response.
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { hostedMcpTool } from "../browser/node_modules/@openai/agents-core/dist/index.mjs";
import * as sdk from "../browser/node_modules/@openai/agents-realtime/dist/index.mjs";
import { pcmOf, play } from "./scenarios.mjs";

async function result({ scenario, url, apiKey, voice, long, serverUrl }) {
  const sounds = Object.entries(voice).map(([name, base64]) => [name, pcmOf(base64)]);
  const facts = { serverLabel: "facts", serverUrl, requireApproval: "always" };
  return play(scenario, {
    sdk,
    transport: new sdk.OpenAIRealtimeWebSocket({ url }),
    apiKey,
    voice: { long, ...Object.fromEntries(sounds) },
    tools: serverUrl ? [hostedMcpTool(facts)] : [],
  });
}

const server = createServer(async (request, response) => {
  try {
    response.end(JSON.stringify(await result(await json(request))));
  } catch (error) {
    response.writeHead(500).end(error.stack);
  }
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify(server.address())));
process.stdin.on("end", () => process.exit()).resume();
