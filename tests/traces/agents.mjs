// The agents of the scripts; agents.py has the same.
import { handoff, hostedMcpTool } from "../browser/node_modules/@openai/agents-core/dist/index.mjs";

const NOTHING = { type: "object", properties: {}, required: [], additionalProperties: false };

function tools({ tool }) {
  const made = (name, execute, more = {}) =>
    tool({ name, description: `${name}.`, parameters: NOTHING, strict: false, execute, ...more });
  return {
    look: made("look", async () => "A cat"),
    count: made("count", async () => ({ a: 1 })),
    fail: made("fail", async () => {
      throw new Error("boom");
    }),
    ask: made("ask", async () => "ran", { needsApproval: true }),
  };
}

export function agent(name, sdk) {
  const { RealtimeAgent } = sdk;
  const { look, count, fail, ask } = tools(sdk);
  if (name === "Billing") return new RealtimeAgent({ name, instructions: "Talk about bills." });
  if (name === "Roller") {
    const serverUrl = "https://dice.example";
    const dice = { serverLabel: "dice", serverUrl, allowedTools: ["roll"], requireApproval: "always" };
    return new RealtimeAgent({ name, instructions: "Roll dice.", tools: [hostedMcpTool(dice)] });
  }
  const billing = agent("Billing", sdk);
  const over = { toolNameOverride: "to_billing", toolDescriptionOverride: "Hands over." };
  return new RealtimeAgent({
    name,
    instructions: "Be brief.",
    voice: "ash",
    tools: [look, count, fail, ask],
    handoffs: [handoff(billing, over)],
  });
}

const guardrail = {
  name: "no trains",
  execute: async ({ agentOutput }) => ({
    tripwireTriggered: agentOutput.includes("train"),
    outputInfo: {},
  }),
};

export const options = (name) =>
  name === "Guarded"
    ? { outputGuardrails: [guardrail], outputGuardrailSettings: { debounceTextLength: 10 } }
    : {};
