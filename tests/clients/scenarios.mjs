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
  "mcp_tools_changed",
  "mcp_tool_call_completed",
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
    for (let left = count; left > 1; left -= 1) await this.#one(type);
    return this.#one(type);
  }

  /** Waits for an event that may have come before. */
  async had(type) {
    if (!this.events.some((event) => event.type === type)) await this.#one(type);
  }

  #one(type) {
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`no ${type} after ${this.events.map((e) => e.type)}`));
      const timer = setTimeout(late, PATIENCE_MS);
      this.#waiting.push({ type, resolve, timer });
      this.#advance();
    });
  }

  #advance() {
    while (this.#waiting.length > 0 && this.#passed < this.events.length) {
      const [{ type, resolve, timer }] = this.#waiting;
      const event = this.events[this.#passed++];
      if (event.type !== type) continue;
      clearTimeout(timer);
      this.#waiting.shift();
      resolve(event);
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
    // The SDK asks for the item as soon as its words are there.
    await caller.had("conversation.item.retrieved");
  },
  async tool(caller, { weather }) {
    caller.say(weather);
    await caller.until("rate_limits.updated", 2);
  },
  // Two calls in one response. The SDK asks for an answer as soon as it may, and once
  // more if only then the other output is there.
  async twice(caller) {
    caller.session.sendMessage("What's the weather in Paris and in Rome?");
    for (let outputs = 0; outputs < 2; ) {
      const { item } = await caller.until("conversation.item.done");
      if (item.type === "function_call_output") outputs += 1;
    }
    await caller.until("response.created");
    await caller.until("rate_limits.updated");
  },
  // In both directions as over a telephone.
  async telephoned(caller, { telephone }) {
    caller.say(telephone);
    await caller.until("rate_limits.updated");
  },
  // A browser's microphone speaks by itself, and hears what is sent beside the events.
  async called(caller) {
    await caller.until("output_audio_buffer.stopped");
    await caller.until("output_audio_buffer.cleared");
    await caller.until("conversation.item.truncated");
    await caller.until("output_audio_buffer.stopped");
  },
  async hushed(caller, { long }) {
    // Still being made when its first words are heard.
    caller.session.sendMessage(long);
    await caller.until("output_audio_buffer.started");
    caller.session.interrupt();
    await caller.until("output_audio_buffer.cleared");
    await caller.until("conversation.item.truncated");
    await caller.until("conversation.item.retrieved");
    caller.session.sendMessage("What is 6 times 7?");
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
  // A tool of somebody else's server, which asks for approval itself.
  async hosted(caller) {
    await caller.had("mcp_list_tools.completed");
    caller.session.on("tool_approval_requested", (_context, _agent, { approvalItem }) => {
      caller.session.approve(approvalItem);
    });
    caller.session.sendMessage("What is the capital of France?");
    await caller.until("response.mcp_call.completed");
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

const CONFIGS = {
  pushed: { audio: { input: { turnDetection: null } } },
  telephoned: {
    audio: {
      input: { format: { type: "audio/pcmu" }, turnDetection: { type: "server_vad" } },
      output: { format: { type: "audio/pcmu" } },
    },
  },
};

/**
 * @param {string} scenario
 * @param {{sdk: object, transport: object, apiKey: string, voice: object, tools?: object[]}} given
 */
export async function play(scenario, { sdk, transport, apiKey, voice, tools = [] }) {
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
      : new sdk.RealtimeAgent({ name: "Greeter", instructions: "Be brief.", tools: [weather, ...tools] });
  const session = new sdk.RealtimeSession(agent, {
    transport,
    config: CONFIGS[scenario] ?? {},
    outputGuardrails: scenario === "guarded" ? [guardrail] : [],
    tracingDisabled: scenario === "written",
  });
  const caller = new Caller(session);
  const errors = [];
  const reports = [];
  session.on("error", (error) => errors.push(JSON.stringify(error)));
  for (const name of REPORTED) session.on(name, () => reports.push(name));
  let failure = null;
  await session.connect({ apiKey });
  try {
    // What the agent is, and then how the session is to be traced.
    await caller.until("session.updated", 2);
    await SCENARIOS[scenario](caller, voice);
  } catch (error) {
    failure = String(error);
  }
  const { history, usage } = session;
  session.close();
  return { events: caller.events, errors, reports, ran, history, usage, failure };
}
