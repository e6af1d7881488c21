// What a caller does with OpenAI's SDK for JavaScript, wherever that runs: in Node, in a
// browser, in a worker. Plays one scenario, and tells all that the SDK has reported.

// Until something went wrong: everything here takes a second or two.
const PATIENCE_MS = 20_000;
const CHUNK_BYTES = 9600;
const REPORTED = [
  "agent_handoff",
  "agent_tool_start",
  "agent_tool_end",
  "audio_start",
  "audio_stopped",
  "audio_interrupted",
  "guardrail_tripped",
  "tool_approval_requested",
];

export const pcmOf = (base64) =>
  Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)).buffer;

class Caller {
  events = [];
  #waiting = [];
  #passed = 0;

  constructor(session) {
    this.session = session;
    session.transport.on("*", (event) => {
      this.events.push(event);
      this.#advance();
    });
  }

  /** Waits for the next event of a type, or the n-th from here. */
  async until(type, count = 1) {
    for (let left = count; left > 0; left -= 1) await this.#one(type);
  }

  #one(type) {
    const { promise, resolve, reject } = Promise.withResolvers();
    const late = () => reject(new Error(`no ${type} after ${this.events.map((e) => e.type)}`));
    const timer = setTimeout(late, PATIENCE_MS);
    this.#waiting.push({ type, resolve, timer });
    this.#advance();
    return promise;
  }

  #advance() {
    while (this.#waiting.length > 0 && this.#passed < this.events.length) {
      const [{ type, resolve, timer }] = this.#waiting;
      if (this.events[this.#passed++].type !== type) continue;
      clearTimeout(timer);
      this.#waiting.shift();
      resolve();
    }
  }

  /** Speaks, as fast as it can be sent. */
  say(pcm) {
    for (let at = 0; at < pcm.byteLength; at += CHUNK_BYTES) {
      this.session.sendAudio(pcm.slice(at, at + CHUNK_BYTES));
    }
  }

  async ask(text) {
    this.session.sendMessage(text);
    await this.until("rate_limits.updated");
  }
}

const SCENARIOS = {
  async written(caller) {
    await caller.ask("What is 6 times 7?");
  },
  async spoken(caller, { sum }) {
    caller.say(sum);
    await caller.until("rate_limits.updated");
  },
  async tool(caller, { weather }) {
    caller.say(weather);
    await caller.until("rate_limits.updated", 2);
  },
  // A browser's microphone speaks by itself.
  async called(caller) {
    await caller.until("output_audio_buffer.stopped");
  },
  async pushed(caller, { sum }) {
    for (let turn = 0; turn < 2; turn += 1) {
      caller.session.sendAudio(sum, { commit: true });
      await caller.until("conversation.item.done");
      caller.session.transport.requestResponse();
      await caller.until("rate_limits.updated");
    }
  },
  async interrupted(caller, { sum, long }) {
    caller.session.sendMessage(long);
    await caller.until("response.output_audio.delta");
    caller.say(sum);
    await caller.until("conversation.item.truncated");
    await caller.until("conversation.item.retrieved");
    await caller.until("response.output_audio.delta");
    await caller.until("rate_limits.updated");
  },
  async stopped(caller, { long }) {
    caller.session.sendMessage(long);
    await caller.until("response.output_audio.delta");
    caller.session.interrupt();
    await caller.until("response.done");
    await caller.until("rate_limits.updated");
    await caller.ask("What is 6 times 7?");
  },
  async handedOver(caller, { billing }) {
    caller.say(billing);
    await caller.until("rate_limits.updated", 2);
    caller.session.sendMessage("What's the weather in Paris?");
    await caller.until("rate_limits.updated", 2);
  },
  async approved(caller, { weather }) {
    const asked = new Promise((resolve) => {
      caller.session.on("tool_approval_requested", (_context, _agent, request) => resolve(request));
    });
    caller.say(weather);
    await caller.until("rate_limits.updated");
    await caller.session.approve((await asked).approvalItem);
    await caller.until("rate_limits.updated");
  },
  async rejected(caller, { weather }) {
    caller.session.on("tool_approval_requested", (_context, _agent, { approvalItem }) => {
      caller.session.reject(approvalItem, { message: "You may not know." });
    });
    caller.say(weather);
    await caller.until("rate_limits.updated", 2);
  },
  async guarded(caller, { long }) {
    caller.session.sendMessage(long);
    await caller.until("response.done", 2);
    await caller.until("rate_limits.updated");
  },
  async rewritten(caller) {
    await caller.ask("My name is Ada.");
    const [question] = caller.session.history;
    const other = { ...question, content: [{ type: "input_text", text: "My name is Bob." }] };
    caller.session.updateHistory([other, ...caller.session.history.slice(1)]);
    await caller.until("conversation.item.deleted");
    await caller.until("conversation.item.done");
    await caller.ask("What is my name?");
  },
};

const guardrail = {
  name: "No timetables",
  execute: async ({ agentOutput }) => ({
    tripwireTriggered: agentOutput.includes("train"),
    outputInfo: {},
  }),
};

/**
 * @param {string} scenario
 * @param {{sdk: object, transport: object, apiKey: string, voice: object, instructions?: string}} given
 */
export async function play(scenario, { sdk, transport, apiKey, voice }) {
  const ran = [];
  const weather = sdk.tool({
    name: "get_weather",
    description: "Tells the weather in a city.",
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    },
    strict: true,
    needsApproval: scenario === "approved" || scenario === "rejected",
    execute: async ({ city }) => {
      ran.push(city);
      return "It is sunny.";
    },
  });
  const billing = new sdk.RealtimeAgent({
    name: "Billing",
    instructions: "Talk about bills.",
    tools: [weather],
  });
  const agent =
    scenario === "handedOver"
      ? new sdk.RealtimeAgent({ name: "Greeter", instructions: "Hand over.", handoffs: [billing] })
      : new sdk.RealtimeAgent({ name: "Greeter", instructions: "Be brief.", tools: [weather] });
  const audio = { input: { turnDetection: null } };
  const session = new sdk.RealtimeSession(agent, {
    transport,
    config: scenario === "pushed" ? { audio } : {},
    outputGuardrails: scenario === "guarded" ? [guardrail] : [],
    tracingDisabled: scenario === "written",
  });
  const caller = new Caller(session);
  const errors = [];
  const reports = [];
  session.on("error", (error) => errors.push(JSON.stringify(error)));
  for (const name of REPORTED) session.on(name, () => reports.push(name));
  await session.connect({ apiKey });
  let failure = null;
  try {
    await SCENARIOS[scenario](caller, voice);
  } catch (error) {
    failure = String(error);
  }
  const { history, usage } = session;
  session.close();
  return { events: caller.events, errors, reports, ran, history, usage, failure };
}
