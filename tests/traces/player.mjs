// Plays scripts to OpenAI's SDK for JavaScript, unchanged, and tells what it told: JSON
// in, JSON out. What the client is to do comes as cues, which are events like others.
import { json } from "node:stream/consumers";
import * as core from "../browser/node_modules/@openai/agents-core/dist/index.mjs";
import * as sdk from "../browser/node_modules/@openai/agents-realtime/dist/index.mjs";
import { agent, options } from "./agents.mjs";

const TRANSPORT = {
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

const SESSION = {
  message: (session, text) => session.sendMessage(text),
  interrupt: (session) => session.interrupt(),
  event: (session, event) => session.transport.sendEvent(event),
  approve: (session) => session.approve(session.asked.approvalItem),
  reject: (session, message) => session.reject(session.asked.approvalItem, { message }),
  agent: (session, name) => session.updateAgent(agent(name, sdk)),
  close: (session) => session.close(),
};

// Contexts say nothing, and agents and tools are called by their names.
const brief = (payload) =>
  payload
    .filter((each) => !(each instanceof core.RunContext))
    .map((each) => (each instanceof core.Agent || each?.type === "function" ? each.name : each));

const plain = (value) =>
  JSON.parse(
    JSON.stringify(value, (_key, part) => {
      if (part instanceof ArrayBuffer) return Buffer.from(part).toString("base64");
      return part instanceof Error ? { message: part.message } : part;
    }),
  );

function listen(client, names, told) {
  for (const event of names) {
    client.on(event, (...payload) => {
      if (payload[0]?.type !== "cue") told.push([event, ...plain(brief(payload))]);
    });
  }
}

function ended(transport, actions, client, told) {
  transport.on("*", async ({ type, do: what, args }) => {
    if (type !== "cue") return;
    try {
      await actions[what](client, ...args);
    } catch {
      told.push(["raised", what]);
    }
  });
  return new Promise((resolve) => {
    transport.on("disconnected", resolve);
    // Out of a handler of the SDK's own; its connection hears nothing after that.
    process.once("uncaughtException", () => resolve(told.push(["thrown"])));
  });
}

async function played(script, url, names, sessionNames) {
  const transport = new sdk.OpenAIRealtimeWebSocket();
  const told = [];
  const where = { apiKey: "sk-any", url: `${url}?script=${script.name}` };
  let gone;
  if (script.agent) {
    const session = new sdk.RealtimeSession(agent(script.agent, sdk), {
      transport,
      ...options(script.agent),
    });
    session.on("tool_approval_requested", (_context, _agent, asked) => (session.asked = asked));
    listen(session, sessionNames, told);
    gone = ended(transport, SESSION, session, told);
    await session.connect(where);
    await gone;
    told.push(["usage", session.usage.totalTokens]);
    told.push(...session.history.map((item) => ["history", plain(item)]));
  } else {
    listen(transport, names, told);
    gone = ended(transport, TRANSPORT, transport, told);
    try {
      await transport.connect({ ...where, ...script.options });
      await gone;
    } catch {
      told.push(["raised", "connect"]);
    }
  }
  process.removeAllListeners("uncaughtException");
  return told;
}

const { url, scripts, names, sessionNames } = await json(process.stdin);
const traces = {};
for (const script of scripts) {
  traces[script.name] = await played(script, url, names, sessionNames);
}
process.stdout.write(JSON.stringify(traces), () => process.exit());
